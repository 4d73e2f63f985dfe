import { describe, expect, it } from 'vitest';
import { wishesForHuman } from '../src/agents/knowledge/human-wish.ts';
import { questionList } from '../scripts/evaluate/asked.ts';
import training from './fixtures/training/parley-questions.json' with { type: 'json' };

describe('a wish for a human', () => {
  it.each([
    ...questionList
      .parse(training)
      .filter(({ kind }) => kind === 'human')
      .map(({ question }) => question),
    'can i speak to someone',
    'this is useless, get me a person',
    'Operator!',
    'How can I talk to a real person?',
    'Hello, I would like to speak with an agent please',
    'can someone from your team call me?',
    'could somebody look into this, a human',
    'transfer me',
    'can we have a human join this chat',
    'i wanna talk 2 a human',
    'Ich möchte mit einem Menschen sprechen',
    'je veux parler à un humain',
    'quiero hablar con una persona',
    'I don’t want a bot. Can somebody help me?',
  ])('%s', (message) => {
    expect(wishesForHuman(message)).toBe(true);
  });
});

describe('no wish for a human', () => {
  it.each([
    'How does a handoff work?',
    'What is a handoff?',
    'Can a real person take over from the bot?',
    'How do I hand a conversation over to a human?',
    'How can my users talk to a human?',
    'What happens when a customer wants to speak to a person?',
    'When does the agent transfer a conversation to a colleague?',
    'How do I list the people who are waiting for somebody?',
    'Does the bot speak with several people at once?',
    'What is a support queue?',
    'How do I get the agent to speak first?',
    'Which person wrote this message?',
    'Can two people write at the same time?',
    'How do humans and agents work together?',
    'Explain how a human joins the conversation',
    'Can the agent call my support api?',
    'do humans read this',
    'can my agents talk to people',
    'i need support for mysql',
    'i need an agent for my website',
    'help me set up an agent',
    'hello',
    '',
    '?!',
  ])('%s', (message) => {
    expect(wishesForHuman(message)).toBe(false);
  });
});

it('is looked for in the longest of messages too', () => {
  for (const piece of ['please i ', 'talk to ', 'get me a ', 'no no ', 'the real ', 'can from ']) {
    expect(wishesForHuman(piece.repeat(200_000))).toBe(false);
  }
});
