import { type ValueReader, valueLimits } from '../value-reader.ts';
import { splitPassages } from './passages.ts';

/** Limits in bytes of UTF-8, or in number of entries. */
export const articleLimits = {
  slug: 512,
  title: valueLimits.line,
  body: 1024 * 1024,
  url: 2048,
  tag: 100,
  tags: 100,
  question: valueLimits.line,
  questions: 100,
  passages: 2000,
} as const;

/** An article before it is split into passages. */
export interface Article {
  /** Unique name within the corpus, stable across imports. */
  slug: string;
  title: string;
  /** The text in Markdown, without the title. */
  body: string;
  url?: string | null;
  tags?: string[];
  questions?: string[];
}

/** The input for an article. A field left out or null is empty. */
export interface ArticleInput {
  slug: string;
  title: string;
  body: string;
  url?: string | URL | null | undefined;
  tags?: readonly string[] | null | undefined;
  questions?: readonly string[] | null | undefined;
}

/** Reads an article. Problems go to the reader. Duplicate tags and questions count once. */
export function readArticle(reader: ValueReader, input: ArticleInput): Article {
  const required = (name: 'slug' | 'title' | 'body') => {
    const text = reader.text([name], input[name], articleLimits[name]) ?? '';
    if (text.trim() === '') reader.refuse([name], 'Must not be empty.', 'REQUIRED');
    return text;
  };
  const article = {
    slug: required('slug'),
    title: required('title'),
    body: required('body'),
    url: input.url == null ? null : readUrl(reader, String(input.url)),
    tags: readList(reader, 'tags', input.tags ?? [], articleLimits.tag),
    questions: readList(reader, 'questions', input.questions ?? [], articleLimits.question),
  };
  if (Buffer.byteLength(article.body) > articleLimits.body) return article;
  const passages = splitPassages(article.body).length;
  if (passages > articleLimits.passages) {
    reader.refuse(
      ['body'],
      `Has ${passages} sections with text; at most ${articleLimits.passages} are allowed.`,
      'TOO_LARGE',
    );
  }
  return article;
}

function readUrl(reader: ValueReader, value: string): string {
  const url = reader.text(['url'], value, articleLimits.url) ?? '';
  if (!/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')) {
    reader.refuse(['url'], 'Must be an absolute http: or https: URL.', 'MALFORMED');
  }
  return url;
}

function readList(
  reader: ValueReader,
  name: 'tags' | 'questions',
  values: readonly string[],
  maxBytes: number,
): string[] {
  if (values.length > articleLimits[name]) {
    reader.refuse([name], `Holds ${values.length} ${name}; at most ${articleLimits[name]} are allowed.`, 'TOO_LONG');
    return [];
  }
  const read = values.map((value, index) => {
    const path = [name, String(index)];
    const text = reader.text(path, value, maxBytes) ?? '';
    if (text.trim() === '') reader.refuse(path, 'Must not be empty.', 'REQUIRED');
    return text;
  });
  return [...new Set(read)];
}
