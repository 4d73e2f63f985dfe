import { beforeEach, describe, expect, it } from 'vitest';
import { newId } from '../src/ids.ts';
import { isEnglish } from '../src/knowledge/dictionary.ts';
import { otherForms } from '../src/knowledge/english.ts';
import { importArticles } from '../src/knowledge/import.ts';
import { search } from '../src/knowledge/search.ts';
import { correctSpelling } from '../src/knowledge/spelling.ts';
import { useDatabase } from './harness/database.ts';

const { pool } = useDatabase();
let corpusId: string;

beforeEach(async () => {
  const organizationId = newId();
  corpusId = newId();
  await pool.query('INSERT INTO organization (id, name) VALUES ($1, $2)', [organizationId, 'Acme']);
  await pool.query('INSERT INTO corpus (id, organization_id, name) VALUES ($1, $2, $3)', [
    corpusId,
    organizationId,
    'Help',
  ]);
});

const invoices = {
  slug: 'invoices',
  title: 'Invoices',
  body: 'Download your invoice from the billing page. A friend may pay it by bank transfer.',
};
const keys = {
  slug: 'keys',
  title: 'Lost keys',
  body: 'When a key breaks, order another by e-mail. A mechanic replaces the lock at your house.',
};
const zebras = { slug: 'zebras', title: 'Zebras', body: 'Their stripes are white.' };

async function titles(query: string): Promise<string[]> {
  const { passages } = await search(pool, { corpusId, query });
  return passages.map(({ title }) => title);
}

async function correct(...words: string[]): Promise<Record<string, string>> {
  return Object.fromEntries(await correctSpelling(pool, corpusId, words));
}

async function knownWords(): Promise<string[]> {
  const { rows } = await pool.query<{ word: string }>('SELECT word FROM corpus_word WHERE corpus_id = $1', [corpusId]);
  return rows.map(({ word }) => word).sort();
}

describe('a misspelt word', () => {
  beforeEach(() => importArticles(pool, corpusId, [invoices, keys, zebras]));

  it.each([
    ['at the beginning', 'invioce download', 'Invoices'],
    ['in the middle', 'where is the invioce page', 'Invoices'],
    ['at the end', 'how can i see my invoce', 'Invoices'],
    ['alone', 'mecanic', 'Lost keys'],
    ['in every place', 'mehcanic replce loock', 'Lost keys'],
    ['in its first letter', 'nvoice', 'Invoices'],
    ['among words that only ask', 'waht abuot zebrs plese', 'Zebras'],
  ])('is found %s', async (_place, query, title) => {
    expect((await titles(query))[0]).toBe(title);
  });

  it('is one with a letter too many, too few, wrong or exchanged with its neighbour; in a long one there may be two', async () => {
    expect(await correct('freind', 'fiend', 'frriend', 'frzend', 'mechannicc', 'downlowd', 'dwnlod')).toEqual({
      freind: 'friend',
      frriend: 'friend',
      frzend: 'friend',
      mechannicc: 'mechanic',
      downlowd: 'download',
    });
  });

  it('may have another ending too', async () => {
    expect(await correct('mecanics', 'invioces', 'downlaoding')).toEqual({
      mecanics: 'mechanic',
      invioces: 'invoices',
      downlaoding: 'download',
    });
  });

  it('may be one that is written with a hyphen elsewhere', async () => {
    expect(await correct('email')).toEqual({ email: 'e-mail' });
    expect((await titles('order by email'))[0]).toBe('Lost keys');
  });

  it('may be one that only asks, and then does not count', async () => {
    expect(await correct('somthing', 'anythign')).toEqual({ somthing: 'something', anythign: 'anything' });
  });

  it('is not one that the corpus has in another form', async () => {
    expect(await correct('replacing', 'downloaded', 'emails', 'transferred')).toEqual({});
  });
});

describe('a word that is not misspelt', () => {
  beforeEach(() => importArticles(pool, corpusId, [invoices, keys, zebras]));

  it.each([
    ['horse', 'house'],
    ['blank', 'bank'],
    ['break', 'breaks'],
    ['stripes', 'stripe'],
    ['clock', 'lock'],
    ['whale', 'white'],
    ['fiend', 'friend'],
    ['mechanist', 'mechanic'],
    ['voices', 'invoice'],
  ])('such as %s is not taken for one of the corpus such as %s', async (word) => {
    expect(isEnglish(word)).toBe(true);
    expect(await correct(word)).toEqual({});
  });

  it('keeps a question from being answered', async () => {
    for (const query of [
      'horse',
      'Where can I buy a clock?',
      'a blank page for my horse',
      'fiends',
      'zebra meat recipes',
    ]) {
      expect(await titles(query)).toEqual([]);
    }
  });

  it('nor is a short one, unless two of its letters have changed places: it may be a name', async () => {
    await importArticles(pool, corpusId, [{ slug: 'b', title: 'Bikes', body: 'A bike is a good idea.' }]);
    expect(await correct('nike', 'ikea', 'biek')).toEqual({ biek: 'bike' });
    expect(await titles('nike')).toEqual([]);
  });

  it('and neither are names, numbers and other signs that are like nothing', async () => {
    expect(await correct('whatsapp', 'netflix', 'e21', '1234', 'x', 'bnak2', '什么什么', 'inv', 'zzzzzzzzzz')).toEqual(
      {},
    );
  });
});

describe('the words of a corpus', () => {
  it('are those of its articles, also after they changed or went', async () => {
    await importArticles(pool, corpusId, [zebras]);
    expect(await knownWords()).toEqual(['stripes', 'white', 'zebras']);
    await importArticles(pool, corpusId, [
      { ...zebras, body: 'They run.' },
      { slug: 'x', title: 'X', body: 'Run, zebras!' },
    ]);
    expect(await knownWords()).toEqual(['zebras']);
    expect(await correct('strpes')).toEqual({});
    await importArticles(pool, corpusId, [{ slug: 'x', title: 'X', body: 'Run, zebras!' }], { removeOthers: true });
    expect(await knownWords()).toEqual(['zebras']);
    await importArticles(pool, corpusId, [], { removeOthers: true });
    expect(await knownWords()).toEqual([]);
  });

  it('of another corpus are of no help', async () => {
    const other = newId();
    await pool.query(
      'INSERT INTO corpus (id, organization_id, name) SELECT $1, organization_id, name FROM corpus WHERE id = $2',
      [other, corpusId],
    );
    await importArticles(pool, other, [zebras]);
    expect(await correct('zebrs')).toEqual({});
  });

  it('are right whoever imports at once', async () => {
    const versions = ['apples', 'bananas', 'cherries', 'apples'].map((fruit) => [
      { slug: 'fruit', title: 'Fruit', body: `Eat ${fruit}.` },
      { slug: fruit, title: 'Fruit', body: 'Fruit.' },
    ]);
    await Promise.all(versions.map((articles) => importArticles(pool, corpusId, articles)));
    const { rows } = await pool.query<{ body: string }>(
      `SELECT body FROM article WHERE corpus_id = $1 AND slug = 'fruit'`,
      [corpusId],
    );
    const [, fruit = ''] = /Eat (\w+)\./.exec(rows[0]?.body ?? '') ?? [];
    expect(await knownWords()).toEqual([fruit, 'fruit'].sort());
  });
});

describe('forms of a word', () => {
  it.each([
    ['stole', 'stolen'],
    ['paid', 'payment'],
    ['delivered', 'delivery'],
    ['deliveries', 'deliver'],
    ['subscribed', 'subscription'],
    ['notification', 'notify'],
    ['children', 'child'],
    ['colour', 'color'],
    ['favorite', 'favourite'],
    ['centers', 'centres'],
    ['organise', 'organize'],
    ['kilometers', 'km'],
  ])('that stemming does not relate are found: %s and %s', (word, other) => {
    expect(otherForms(word)).toContain(other);
  });

  it('help a question, and never turn a word that only asks into one', async () => {
    await importArticles(pool, corpusId, [
      { slug: 'd', title: 'Shipping', body: 'Delivery takes four days.' },
      { slug: 'p', title: 'Cash', body: 'No payment in cash.' },
    ]);
    expect((await titles('When do you deliver?'))[0]).toBe('Shipping');
    expect((await titles('how can i pay'))[0]).toBe('Cash');
    expect(await titles('what is it for?')).toEqual([]);
  });
});

describe('the dictionary', () => {
  it('knows English words in any form, from the first to the last', () => {
    for (const word of ['a', 'aah', 'house', 'houses', 'running', 'kilometres', 'kilometers', 'zyzzyvas', 'zzzs']) {
      expect([word, isEnglish(word)]).toEqual([word, true]);
    }
  });

  it('knows nothing else', () => {
    for (const word of ['', '"', ',', '","', 'aa,', 'hous', 'freind', 'invioce', 'zzzzz', 'über', 'House', '0']) {
      expect([word, isEnglish(word)]).toEqual([word, false]);
    }
  });
});
