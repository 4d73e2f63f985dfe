import { describe, expect, it } from 'vitest';
import { splitPassages } from '../src/knowledge/passages.ts';

describe('an article is split into passages', () => {
  it('at its headings, each named by the headings above it', () => {
    const markdown = [
      'Before any heading.',
      '## Install ##',
      'Run it.',
      '### On Linux',
      'With apt.',
      '',
      'Or from source.',
      '## Remove',
      'Delete it.',
    ].join('\n');
    expect(splitPassages(markdown)).toEqual([
      { heading: '', text: 'Before any heading.' },
      { heading: 'Install', text: 'Run it.' },
      { heading: 'Install › On Linux', text: 'With apt.\n\nOr from source.' },
      { heading: 'Remove', text: 'Delete it.' },
    ]);
  });

  it('and headings without text make none', () => {
    expect(splitPassages('# A\n\n## B\n\ntext\n\n## C\n')).toEqual([{ heading: 'A › B', text: 'text' }]);
    expect(splitPassages('')).toEqual([]);
    expect(splitPassages('\r\n \r\n')).toEqual([]);
  });

  it('but not at what only looks like a heading', () => {
    const markdown = '#hashtag\n\n```sh\n# a comment\n\n~~~\n# another\n```\n\n# Real\n\nafter';
    expect(splitPassages(markdown)).toEqual([
      { heading: '', text: '#hashtag\n\n```sh\n# a comment\n\n~~~\n# another\n```' },
      { heading: 'Real', text: 'after' },
    ]);
  });

  it('and a heading that is too long to be one is cut, between code points', () => {
    const [passage] = splitPassages(`# ${'😀'.repeat(300)}\n\ntext`);
    expect(passage).toEqual({ heading: '😀'.repeat(100), text: 'text' });
    expect(splitPassages(`# x${'😀'.repeat(300)} ##\n\ntext`)[0]?.heading).toBe(`x${'😀'.repeat(99)}`);
  });

  it('however much space there is', () => {
    const space = ' '.repeat(300_000);
    const text = `# a${space}b\n\n.${space}.${space}x${space}.`;
    const passages = splitPassages(text);
    expect(
      passages
        .map(({ text }) => text)
        .join('')
        .replace(/\s/g, ''),
    ).toBe('..x.');
    expect(passages[0]?.heading).toBe('a');
  });

  it('a long section between its blocks, without losing any', () => {
    const blocks = Array.from({ length: 20 }, (_, i) => `Paragraph ${i} ${'x'.repeat(30)}`);
    const passages = splitPassages(`## H\n\n${blocks.join('\n\n')}`, 100);
    expect(passages.every(({ heading, text }) => heading === 'H' && text.length <= 100)).toBe(true);
    expect(passages.length).toBeLessThan(20);
    expect(passages.map(({ text }) => text).join('\n\n')).toBe(blocks.join('\n\n'));
  });

  it('a long paragraph after a sentence, or else a word', () => {
    expect(splitPassages('One two three. Four five six seven eight', 20).map(({ text }) => text)).toEqual([
      'One two three.',
      'Four five six seven',
      'eight',
    ]);
  });

  it('a word without end between code points', () => {
    const passages = splitPassages('😀'.repeat(50), 33);
    expect(passages.map(({ text }) => text).join('')).toBe('😀'.repeat(50));
    expect(passages.every(({ text }) => text.length <= 33 && text.isWellFormed())).toBe(true);
  });

  it('a long code block into code blocks', () => {
    const lines = Array.from({ length: 12 }, (_, i) => (i === 4 ? '' : `  call(${i});`));
    const passages = splitPassages(['```js', ...lines, '```'].join('\n'), 60);
    expect(passages.length).toBeGreaterThan(1);
    for (const { text } of passages) expect(text).toMatch(/^```js\n[^`]*\n```$/);
    const code = passages.map(({ text }) => text.split('\n').slice(1, -1).join('\n')).join('\n');
    expect(code).toBe(lines.join('\n'));
    expect(passages.every(({ text }) => text.length <= 60)).toBe(true);
  });
});
