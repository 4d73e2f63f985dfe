import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ReplyPart, Turn } from '../src/agents/runtime.ts';
import { decodeId } from '../src/ids.ts';
import { addOperator, addOrganization, type Organization } from './harness/access.ts';
import { ask, type Target } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import {
  addEmailInbox,
  type Delivered,
  type EmailInbox,
  type LetterData,
  lettersOf,
  openMailServer,
  post,
  refusal,
  resolveDns,
  signed,
  untilDealtWith,
  written,
} from './harness/mail.ts';
import { addAgent, addContact, command, ImmediateRuntime } from './harness/products.ts';
import { useServer } from './harness/server.ts';

/** Answers as long as it is not closed; then it waits to be opened. */
class PatientRuntime extends ImmediateRuntime {
  waiting = 0;
  private gate = Promise.resolve();

  /** Returns what opens it. */
  close(): () => void {
    let open: () => void = () => undefined;
    this.gate = new Promise((resolve) => (open = resolve));
    return open;
  }

  override async *reply(turn: Turn): AsyncGenerator<ReplyPart> {
    this.waiting += 1;
    await this.gate;
    this.waiting -= 1;
    yield* super.reply(turn);
  }
}

const mail = await openMailServer();
const patience = new PatientRuntime('patient');
const server = useServer({
  config: { smtpUrl: mail.url, letterLimitPerInbox: 0, rateLimitPerKey: 0 },
  runtimes: [new ImmediateRuntime('immediate'), patience],
  resolveDns,
});
let agentId: string;
let inbox: EmailInbox;
let foreign: Organization;
beforeAll(async () => {
  agentId = await addAgent(server.services, { runtime: 'immediate' });
  inbox = await addEmailInbox(server, 'help@shop.example', { agentId });
  foreign = await addOrganization(server.services);
});
afterAll(() => mail.close());

let people = 0;
/** An address that nobody had before. */
const somebody = (domain = 'example.com') => `person${(people += 1)}@${domain}`;

/** The letters that came in from an address, once so many are dealt with. */
async function received(sender: string, count = 1): Promise<LetterData[]> {
  await untilDealtWith(server, sender, count);
  return (await lettersOf(server, { direction: 'IN' })).filter(
    (letter) => letter.sender?.toLowerCase() === sender.toLowerCase(),
  );
}

/** The only letter that came in from an address, once it is dealt with. */
async function theOneFrom(sender: string): Promise<LetterData> {
  const [letter] = await received(sender);
  if (!letter) throw new Error(`There is no letter from ${sender}.`);
  return letter;
}

const conversationOf = ({ conversation }: LetterData) => {
  if (!conversation) throw new Error('The letter became no message.');
  return conversation;
};

/** Writes to the inbox and waits for the answer. */
async function converse(from = somebody(), letter: Record<string, string> = {}) {
  expect(await post(server, inbox, written({ From: from, ...letter }))).toBe(202);
  const [answer] = await mail.until(from, 1);
  if (!answer) throw new Error('There is no answer.');
  return { from, answer, conversation: conversationOf(await theOneFrom(from)) };
}

const replyTo = ({ headers }: Delivered) =>
  /<([^>]+)>/.exec(headers['reply-to'] ?? '')?.[1] ?? headers['reply-to'] ?? '';

const end = (conversationId: string) =>
  command(
    server,
    'mutation ($input: EndConversationInput!) { result: endConversation(input: $input) { __typename } }',
    { conversationId },
  );

const block = (contactId: string | undefined) =>
  command(server, 'mutation ($input: BlockContactInput!) { result: blockContact(input: $input) { __typename } }', {
    contactId,
  });

describe('a letter', () => {
  test('begins a conversation and is answered once, from the inbox, with its subject and its place in the thread', async () => {
    const from = somebody();
    const { answer, conversation } = await converse(from, {
      'Message-ID': `<first.${from}>`,
      Subject: 'Where is my order?',
      text: 'It is late.',
    });
    expect(conversation).toMatchObject({
      title: 'Where is my order?',
      contact: { email: from, anonymous: true },
      messages: { nodes: [{ role: 'USER', text: 'It is late.' }, { role: 'AGENT' }] },
    });
    const said = conversation.messages.nodes[1];
    expect(answer.headers).toMatchObject({
      from: '"Robin (Shop)" <help@shop.example>',
      to: from,
      subject: 'Re: Where is my order?',
      'message-id': `<${said?.id}@shop.example>`,
      'in-reply-to': `<first.${from}>`,
      references: `<first.${from}>`,
      'auto-submitted': 'auto-replied',
    });
    expect(answer.text).toBe(said?.text);
    expect(answer.sender).toBe(replyTo(answer));
    expect(replyTo(answer)).toMatch(/^help\+[a-z2-7]{39}@shop\.example$/);
    expect((await lettersOf(server, { conversationId: conversation.id })).map(({ status }) => status)).toEqual([
      'DONE',
      'DONE',
    ]);
  });

  test('to the reply address goes on with the conversation; the message is the new part, and the whole is kept', async () => {
    const { from, answer, conversation } = await converse();
    const text = `Thanks!\r\n\r\nOn Mon, Robin wrote:\r\n> ${answer.text}`;
    const letter = written({ From: from.toUpperCase(), To: replyTo(answer).toUpperCase(), text });
    expect(await post(server, inbox, letter)).toBe(202);
    await mail.until(from, 2);
    const [, second] = await received(from, 2);
    expect(second?.conversation?.id).toBe(conversation.id);
    expect(second?.conversation?.messages.nodes[2]).toMatchObject({ role: 'USER', text: 'Thanks!' });
    expect(second?.wholeText).toContain(answer.text);
    // An address compares without regard to case: this is the contact.
    expect(await authorOf(second?.messageId)).toMatchObject({ contact: { email: from } });
  });

  test('to the reply address from somebody else is theirs, and the answer goes to the contact alone', async () => {
    const { from, answer, conversation } = await converse();
    const other = somebody();
    await post(server, inbox, written({ From: `Sam <${other}>`, To: replyTo(answer) }));
    await mail.until(from, 2);
    const letter = await theOneFrom(other);
    expect(letter.conversation?.id).toBe(conversation.id);
    expect(await authorOf(letter.messageId)).toMatchObject({ displayName: 'Sam', contact: null });
    expect(mail.letters.filter(({ recipient }) => recipient === other)).toEqual([]);
  });

  test('with a reply address that the inbox has not signed begins another conversation', async () => {
    const { answer, conversation } = await converse();
    const own = replyTo(answer);
    const forged = own
      .replace(/.(?=@)/, (last) => (last === 'a' ? 'e' : 'a'))
      .replace(/\+(.)/, (_all, c: string) => `+${c === 'b' ? 'c' : 'b'}`);
    const from = somebody();
    await post(server, inbox, written({ From: from, To: forged }));
    expect(conversationOf(await theOneFrom(from)).id).not.toBe(conversation.id);
  });

  test('that refers to ours goes on only if the domain of its sender vouches for it, and the sender is the contact', async () => {
    const from = somebody('vouching.example');
    await post(server, inbox, await signed({ from, to: inbox.address, text: 'Hello' }));
    const [answer] = await mail.until(from, 1);
    const inReplyTo = answer?.headers['message-id'] ?? '';
    const first = await theOneFrom(from);
    expect(first.verified).toBe(true);

    await post(server, inbox, await signed({ from: from.toUpperCase(), to: inbox.address, text: 'More', inReplyTo }));
    const [, second] = await received(from, 2);
    expect(second?.conversation?.id).toBe(first.conversation?.id);

    // The same without a signature is from anybody.
    await post(
      server,
      inbox,
      written({ From: from, 'In-Reply-To': inReplyTo, text: 'Tell me all that you know of me.' }),
    );
    const [, , forged] = await received(from, 3);
    expect(forged).toMatchObject({ verified: false, status: 'DONE' });
    expect(forged?.conversation?.id).not.toBe(first.conversation?.id);
    expect(forged?.conversation?.contact?.id).not.toBe(first.conversation?.contact?.id);

    // Another person of the domain is not the contact.
    const other = somebody('vouching.example');
    await post(server, inbox, await signed({ from: other, to: inbox.address, text: 'Me too', inReplyTo }));
    const strangers = await theOneFrom(other);
    expect(strangers.verified).toBe(true);
    expect(strangers.conversation?.id).not.toBe(first.conversation?.id);
  });

  test('whose signature does not hold is from anybody', async () => {
    const from = somebody('vouching.example');
    const letter = await signed({ from, to: inbox.address, text: 'Pay one dollar' });
    await post(server, inbox, letter.replace('one dollar', '1000 dollars'));
    expect(await theOneFrom(from)).toMatchObject({ verified: false });
  });

  test('of a known contact is theirs if it is vouched for, and otherwise that of a stranger', async () => {
    const email = somebody('vouching.example');
    const known = await addContact(server.services, {
      externalId: email,
      displayName: 'Vera',
      email: email.toUpperCase(),
    });
    await post(server, inbox, await signed({ from: email, to: inbox.address, text: 'It is me' }));
    await post(server, inbox, written({ From: email, text: 'It is me' }));
    const letters = await received(email, 2);
    const who = letters.map((letter) => [letter.verified, conversationOf(letter).contact?.id === known]);
    expect(who.toSorted()).toEqual([
      [false, false],
      [true, true],
    ]);
  });

  test('to a conversation that has ended begins one that continues it, and the next one goes on there', async () => {
    const { from, answer, conversation } = await converse();
    await end(conversation.id);
    await post(server, inbox, written({ From: from, To: replyTo(answer), text: 'One more thing' }));
    await mail.until(from, 2);
    const [, second] = await received(from, 2);
    expect(second?.conversation).toMatchObject({ continues: { id: conversation.id }, contact: conversation.contact });
    await post(server, inbox, written({ From: from, To: replyTo(answer), text: 'And another' }));
    const [, , third] = await received(from, 3);
    expect(third?.conversation?.id).toBe(second?.conversation?.id);
  });

  test('that comes again is known by its Message-ID, and without one by its bytes', async () => {
    const from = somebody();
    const letter = written({ From: from });
    expect(
      await Promise.all([post(server, inbox, letter), post(server, inbox, letter)]).then((all) => all.toSorted()),
    ).toEqual([200, 202]);
    expect(await post(server, inbox, letter.replace('Hello', 'Hello again'))).toBe(200);
    const nameless = written({ From: from, 'Message-ID': null });
    expect(await post(server, inbox, nameless)).toBe(202);
    expect(await post(server, inbox, nameless)).toBe(200);
    await received(from, 2);
  });

  test('that is damaged, huge in parts or empty is taken as far as it can be read', async () => {
    const [broken, stuffed, empty] = [somebody(), somebody(), somebody()];
    await post(
      server,
      inbox,
      written({ From: broken, 'Content-Type': 'multipart/mixed; boundary="gone"', text: '--gone\r\nContent-' }),
    );
    const parts = Array.from(
      { length: 200 },
      (_, n) =>
        `--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="${n}.txt"\r\n\r\nfile ${n}\r\n`,
    );
    await post(
      server,
      inbox,
      written({
        From: stuffed,
        'Content-Type': 'multipart/mixed; boundary="b"',
        text: `--b\r\nContent-Type: text/plain\r\n\r\nAll of it\r\n${parts.join('')}--b--`,
      }),
    );
    await post(server, inbox, written({ From: empty, Subject: null, text: '' }));
    for (const from of [broken, stuffed, empty]) expect(await theOneFrom(from)).toMatchObject({ status: 'DONE' });
    expect(conversationOf(await theOneFrom(stuffed)).messages.nodes[0]?.text).toBe('All of it');
    expect(conversationOf(await theOneFrom(empty)).messages.nodes[0]?.text).toBe('(The letter is empty.)');
    const before = (await lettersOf(server, { status: 'DROPPED' })).length;
    await post(server, inbox, written({ From: null }));
    await post(server, inbox, written({ From: '<1,victim@example.com>' }));
    await post(server, inbox, Buffer.from([0, 255, 10, 13, 0]));
    await expect.poll(async () => (await lettersOf(server, { status: 'DROPPED' })).length).toBe(before + 3);
  });

  test('of somebody who is blocked is dropped', async () => {
    const { from, conversation, answer } = await converse();
    await block(conversation.contact?.id);
    await post(server, inbox, written({ From: from }));
    await post(server, inbox, written({ From: from, To: replyTo(answer) }));
    const [, ...later] = await received(from, 3);
    expect(later).toMatchObject([
      { status: 'DROPPED', conversation: null },
      { status: 'DROPPED', conversation: null },
    ]);
  });
});

test('that a forger is blocked blocks nobody whose domain vouches for them', async () => {
  const from = somebody('vouching.example');
  await post(server, inbox, written({ From: from, text: 'Forged' }));
  await block(conversationOf(await theOneFrom(from)).contact?.id);
  await post(server, inbox, written({ From: from, text: 'Forged again' }));
  await post(server, inbox, await signed({ from, to: inbox.address, text: 'It is me' }));
  const letters = await received(from, 3);
  expect(letters.map(({ verified, status }) => [verified, status]).toSorted()).toEqual([
    [false, 'DONE'],
    [false, 'DROPPED'],
    [true, 'DONE'],
  ]);
});

describe('what a machine sends', () => {
  test.each<[string, Record<string, string>]>([
    ['an answer from out of office', { 'Auto-Submitted': 'auto-replied' }],
    ['a letter of a list', { 'List-Id': '<news.example.com>' }],
    ['one in bulk', { Precedence: 'bulk' }],
  ])('is never answered: %s', async (_what, headers) => {
    const { from, answer, conversation } = await converse();
    await post(server, inbox, written({ From: from, To: replyTo(answer), ...headers }));
    const [, second] = await received(from, 2);
    expect(second).toMatchObject({ status: 'DONE', conversation: { id: conversation.id } });
    expect(second?.conversation?.messages.nodes.map(({ role }) => role)).toEqual(['USER', 'AGENT', 'USER']);
  });

  test('that one of ours came back is no message, and is noted with the letter', async () => {
    const { answer, conversation } = await converse();
    const from = somebody();
    const text = [
      '--r\r\nContent-Type: text/plain\r\n\r\nNo such user here.\r\n',
      '--r\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; x@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n',
      '--r--',
    ].join('');
    const type = 'multipart/report; report-type=delivery-status; boundary="r"';
    const bounce = written({ From: from, To: answer.sender, 'Return-Path': '<>', 'Content-Type': type, text });
    await post(server, inbox, bounce);
    expect(await theOneFrom(from)).toMatchObject({ status: 'DROPPED', automatic: 'BOUNCE' });
    const letters = await lettersOf(server, { conversationId: conversation.id, direction: 'OUT' });
    expect(letters).toMatchObject([{ status: 'BOUNCED', detail: expect.stringContaining('No such user here.') }]);
  });

  test('without a word that it is a machine is answered ten times in an hour, so that no two of them go on for ever', async () => {
    const from = somebody();
    await post(server, inbox, written({ From: from }));
    for (let round = 1; round <= 10; round += 1) {
      const answers = await mail.until(from, round);
      const last = answers.at(-1);
      if (last) await post(server, inbox, written({ From: from, To: replyTo(last), text: `I am away (${round}).` }));
    }
    const letters = await received(from, 11);
    expect(letters.map(({ conversation }) => conversation?.id)).toEqual(
      letters.map(() => letters[0]?.conversation?.id),
    );
    const roles = letters[0]?.conversation?.messages.nodes.map(({ role }) => role);
    expect(roles?.filter((role) => role === 'USER')).toHaveLength(11);
    expect(roles?.filter((role) => role === 'AGENT')).toHaveLength(10);
    expect(await mail.until(from, 10)).toHaveLength(10);
  });

  test('stops no answer that is on its way, and comes in after it', async () => {
    const patient = await addEmailInbox(server, 'patient@shop.example', {
      agentId: await addAgent(server.services, { runtime: 'patient' }),
    });
    const from = somebody();
    await post(server, patient, written({ From: from }));
    const [first] = await mail.until(from, 1);
    const open = patience.close();
    const again = { From: from, To: first && replyTo(first) };
    await post(server, patient, written(again));
    await expect.poll(() => patience.waiting).toBe(1);
    await post(server, patient, written({ ...again, 'Auto-Submitted': 'auto-replied' }));
    const { pool } = server.services;
    const tried = `FROM graphile_worker.jobs WHERE task_identifier = 'email.receive' AND attempts > 0 AND locked_at IS NULL`;
    await expect.poll(async () => (await pool.query(`SELECT ${tried}`)).rowCount, { timeout: 10_000 }).toBe(1);
    open();
    expect(await mail.until(from, 2)).toHaveLength(2);
    await pool.query(`SELECT FROM graphile_worker.reschedule_jobs(ARRAY(SELECT id ${tried}), run_at => now())`);
    const letters = await received(from, 3);
    expect(letters.map(({ status }) => status)).toEqual(['DONE', 'DONE', 'DONE']);
    const said = letters[0]?.conversation?.messages.nodes.map(({ role }) => role);
    expect(said).toEqual(['USER', 'AGENT', 'USER', 'AGENT', 'USER']);
  });

  test('from the inbox itself is dropped, and from another inbox of the organization not answered', async () => {
    const twin = await addEmailInbox(server, 'twin@shop.example', { agentId });
    await post(server, inbox, written({ From: inbox.address }));
    await post(server, inbox, written({ From: twin.address }));
    expect(await theOneFrom(inbox.address)).toMatchObject({ status: 'DROPPED' });
    expect(conversationOf(await theOneFrom(twin.address)).messages.nodes.map(({ role }) => role)).toEqual(['USER']);
  });
});

describe('what is said on the side of the agent', () => {
  test('by a human goes out as a letter of theirs; a note never does', async () => {
    const { from, conversation } = await converse();
    const kim = await addOperator(server, { name: 'Kim' });
    const take = 'mutation ($input: TakeOverInput!) { result: takeOver(input: $input) { __typename } }';
    await command(kim.target, take, { conversationId: conversation.id });
    await command(kim.target, 'mutation ($input: AddNoteInput!) { result: addNote(input: $input) { __typename } }', {
      conversationId: conversation.id,
      content: { text: 'Careful with this one.' },
    });
    await command(
      kim.target,
      'mutation ($input: AddAgentMessageInput!) { result: addAgentMessage(input: $input) { __typename ... on UserError { detail } } }',
      { conversationId: conversation.id, content: { text: 'Kim here.' } },
    );
    const [, second] = await mail.until(from, 2);
    expect(second).toMatchObject({ text: 'Kim here.', headers: { from: '"Kim (Shop)" <help@shop.example>' } });
    expect(second?.headers).not.toHaveProperty('auto-submitted');
    // While a human has it the agent stays silent.
    await post(server, inbox, written({ From: from, To: second && replyTo(second), text: 'Hello Kim' }));
    const [, later] = await received(from, 2);
    expect(later?.conversation?.messages.nodes.map(({ role }) => role)).toEqual([
      'USER',
      'AGENT',
      'NOTE',
      'AGENT',
      'USER',
    ]);
    expect(mail.letters.filter(({ raw }) => raw.includes('Careful'))).toEqual([]);
  });

  test('begins no header of its own, whatever names and subjects hold', async () => {
    const from = somebody();
    const contactId = await addContact(server.services, { email: from, displayName: 'Eve\r\nBcc: all@example.com' });
    await createConversation(server, {
      contactId,
      inboxId: inbox.id,
      title: 'Hi\r\nBcc: all@example.com\r\n\r\nBuy!',
      agentId,
    });
    const [letter] = await mail.until(from, 1);
    expect(letter?.headers).not.toHaveProperty('bcc');
    expect(letter?.headers['subject']).toBe('Hi Bcc: all@example.com Buy!');
  });

  test('that is refused for good has failed, and can be tried again as it was', async () => {
    const tried: string[] = [];
    const refused = somebody();
    mail.decide = ({ recipient, raw }) => {
      if (recipient !== refused || tried.push(raw) > 1) return null;
      return refusal(550, 'No such user');
    };
    await post(server, inbox, written({ From: refused }));
    const { id } = conversationOf(await theOneFrom(refused));
    const outgoing = async () => (await lettersOf(server, { conversationId: id, direction: 'OUT' }))[0];
    await expect.poll(async () => (await outgoing())?.status, { timeout: 10_000 }).toBe('FAILED');
    expect(await outgoing()).toMatchObject({ detail: expect.stringContaining('No such user'), tries: 1 });
    await command(
      server,
      'mutation ($input: RetryLetterInput!) { result: retryLetter(input: $input) { __typename } }',
      {
        letterId: (await outgoing())?.id,
      },
    );
    await mail.until(refused, 1);
    await expect.poll(async () => (await outgoing())?.status).toBe('DONE');
    expect(tried).toHaveLength(2);
    expect(tried[1]).toBe(tried[0]);
  });

  test('that is refused for now is tried again later, as it was', async () => {
    const tried: string[] = [];
    const busy = somebody();
    mail.decide = ({ recipient, raw }) =>
      recipient === busy && tried.push(raw) < 3 ? refusal(451, 'Try again later') : null;
    await post(server, inbox, written({ From: busy }));
    await expect.poll(() => tried.length, { timeout: 10_000 }).toBe(1);
    const { id } = conversationOf(await theOneFrom(busy));
    for (let count = 1; count < 3; count += 1) {
      await expect
        .poll(async () => (await lettersOf(server, { conversationId: id, direction: 'OUT' }))[0], { timeout: 10_000 })
        .toMatchObject({ status: 'WAITING', tries: count, detail: expect.stringContaining('Try again later') });
      await server.services.pool.query(`SELECT FROM graphile_worker.reschedule_jobs(
        ARRAY(SELECT id FROM graphile_worker.jobs WHERE task_identifier = 'email.send'), run_at => now())`);
      await expect.poll(() => tried.length, { timeout: 10_000 }).toBe(count + 1);
    }
    await mail.until(busy, 1);
    expect(new Set(tried).size).toBe(1);
  });
});

describe('a letter that waits to be sent', () => {
  /** Has the letter to a new contact refused for now, and lets the next ones go. */
  async function waiting() {
    const from = somebody();
    const tried: string[] = [];
    mail.decide = ({ recipient, raw }) =>
      recipient === from && tried.push(raw) === 1 ? refusal(451, 'Try again later') : null;
    await post(server, inbox, written({ From: from }));
    const { id, contact } = conversationOf(await theOneFrom(from));
    const outgoing = async () => (await lettersOf(server, { conversationId: id, direction: 'OUT' }))[0];
    await expect.poll(async () => (await outgoing())?.tries, { timeout: 10_000 }).toBe(1);
    const again = () =>
      server.services.pool.query(`SELECT FROM graphile_worker.reschedule_jobs(
        ARRAY(SELECT id FROM graphile_worker.jobs WHERE task_identifier = 'email.send'), run_at => now())`);
    return { from, tried, contactId: contact?.id, outgoing, again };
  }

  test('goes to the address that the contact has by then, under the same Message-ID', async () => {
    const { from, tried, contactId, outgoing, again } = await waiting();
    const email = somebody();
    const update = 'mutation ($input: UpdateContactInput!) { result: updateContact(input: $input) { __typename } }';
    await command(server, update, { contactId, email });
    await again();
    const [letter] = await mail.until(email, 1);
    expect(tried[0]).toContain(`Message-ID: ${letter?.headers['message-id']}`);
    await expect.poll(outgoing).toMatchObject({ status: 'DONE', recipient: email });
    expect(mail.letters.filter(({ recipient }) => recipient === from)).toEqual([]);
  });

  test('is dropped if the contact is blocked by then', async () => {
    const { from, contactId, outgoing, again } = await waiting();
    await block(contactId);
    await again();
    await expect.poll(outgoing, { timeout: 10_000 }).toMatchObject({ status: 'DROPPED' });
    expect(mail.letters.filter(({ recipient }) => recipient === from)).toEqual([]);
  });

  test('is dropped if the message is erased by then', async () => {
    const { outgoing, again } = await waiting();
    await server.services.pool.query('UPDATE message SET erased_at = now() WHERE id = $1', [
      decodeId('Message', (await outgoing())?.messageId ?? ''),
    ]);
    await again();
    await expect.poll(outgoing, { timeout: 10_000 }).toMatchObject({ status: 'DROPPED' });
  });
});

describe('startEmailConversation', () => {
  const start = (input: Record<string, unknown>, target: Target = server) =>
    command(
      target,
      `mutation ($input: StartEmailConversationInput!) {
        result: startEmailConversation(input: $input) {
          __typename
          ... on StartEmailConversationPayload { conversation { id } message { id } }
          ... on InvalidInputError { issues { path } } ... on NotFoundError { path }
        }
      }`,
      { inboxId: inbox.id, subject: 'Your order', text: 'It is on its way.', ...input },
    );

  test('sends the first letter, once for a key, and what is answered comes into the conversation', async () => {
    const address = somebody();
    const input = { to: { address }, idempotencyKey: 'one', agentId };
    const { conversation } = await start(input);
    expect((await start(input)).conversation.id).toBe(conversation.id);
    const [letter] = await mail.until(address, 1);
    expect(letter).toMatchObject({
      text: 'It is on its way.',
      headers: { subject: 'Your order', 'auto-submitted': 'auto-generated' },
    });
    await post(server, inbox, written({ From: address, To: letter && replyTo(letter), text: 'Fine' }));
    const [, answer] = await mail.until(address, 2);
    expect(answer?.headers['subject']).toBe('Re: Your order');
    expect((await theOneFrom(address)).conversation?.id).toBe(conversation.id);
  });

  test('of an operator is theirs, to a contact', async () => {
    const email = somebody();
    const contactId = await addContact(server.services, { email });
    const kim = await addOperator(server, { name: 'Kim' });
    expect(await start({ to: { contactId } }, kim.target)).toMatchObject({
      __typename: 'StartEmailConversationPayload',
    });
    const [letter] = await mail.until(email, 1);
    expect(letter?.headers).not.toHaveProperty('auto-submitted');
    expect(letter?.headers['from']).toBe('"Kim (Shop)" <help@shop.example>');
  });

  test.each<[string, () => Record<string, unknown>, string[]]>([
    ['an empty subject', () => ({ to: { address: 'a@b.example' }, subject: ' ' }), ['subject']],
    [
      'a subject of two lines',
      () => ({ to: { address: 'a@b.example' }, subject: 'Hi\r\nBcc: c@d.example' }),
      ['subject'],
    ],
    ['an empty text', () => ({ to: { address: 'a@b.example' }, text: '' }), ['text']],
    ['two addresses', () => ({ to: { address: 'a@b.example, c@d.example' } }), ['to', 'address']],
    ['an address that mail programs take for two', () => ({ to: { address: '1,c@d.example' } }), ['to', 'address']],
  ])('refuses %s', async (_what, input, path) => {
    expect(await start(input())).toMatchObject({ issues: [{ path }] });
  });

  test('refuses a contact without an address, a foreign one, and an inbox that is none of email', async () => {
    const contactId = await addContact(server.services, {});
    expect(await start({ to: { contactId } })).toMatchObject({ issues: [{ path: ['to', 'contactId'] }] });
    expect(await start({ to: { contactId: foreign.contactId } })).toMatchObject({ path: ['to', 'contactId'] });
    const { result } = await ask<{ result: { inbox: { id: string } } }>(
      server,
      'mutation { result: createInbox(input: { name: "A", channel: API }) { ... on CreateInboxPayload { inbox { id } } } }',
    );
    const to = { address: 'a@b.example' };
    expect(await start({ inboxId: result.inbox.id, to })).toMatchObject({ issues: [{ path: ['inboxId'] }] });
    expect(await start({ to }, { url: server.url, key: foreign.key })).toMatchObject({ path: ['inboxId'] });
  });
});

async function authorOf(id: string | null | undefined) {
  const { message } = await ask<{
    message: { author: { displayName: string | null; contact: { email: string } | null } };
  }>(server, 'query ($id: ID!) { message(id: $id) { author { displayName contact { email } } } }', { id });
  return message.author;
}
