import type { AskedWord } from './asked-words.ts';
import type { Candidate } from './candidates.ts';
import type { Certainty, Weights } from './weights.ts';

/** What is known of an article whose words were asked for. */
export interface ArticleEvidence {
  articleId: string;
  /** The share of the question that its text has; that of its best passage. */
  text: number;
  /** The share that its text and its questions have together; more of a word the more of them have it. */
  anywhere: number;
  bestPassage: number;
  /** How much its questions are like what is asked, the most alike first. */
  likeness: number[];
  /** The one that is most like it. */
  bestQuestion: number | null;
}

/** What is known of a passage of such an article. */
export interface PassageEvidence {
  /** The share of the question that the passage has, the title and the headings. */
  passage: number;
  title: number;
  heading: number;
  /** How many of the words of the article's best question the passage has, from 0 to 1. */
  alike: number;
  isLead: boolean;
  /** How many questions the article names. */
  namedQuestions: number;
}

/** The share of the question that is covered. */
export function shareOf(words: readonly AskedWord[], has: readonly number[]): number {
  let covered = 0;
  let all = 0;
  words.forEach(({ weight }, i) => {
    covered += weight * (has[i] ?? 0);
    all += weight;
  });
  return all > 0 ? covered / all : 0;
}

/** How much two questions are alike, by the share of each that the other covers: 1 when they have the same words. */
export function likenessOf(words: readonly AskedWord[], has: readonly number[], weightOfQuestion: number): number {
  const covered = words.reduce((sum, { weight }, i) => sum + weight * (has[i] ?? 0), 0);
  return Math.sqrt(shareOf(words, has) * Math.min(1, covered / Math.max(weightOfQuestion, 1e-9)));
}

/** The candidates by their articles. `weightOf` tells the weight of a question of an article, null for one that is not alike. */
export function articlesOf(
  words: readonly AskedWord[],
  candidates: readonly Candidate[],
  weightOf: (candidate: Candidate) => number | null,
  { saturation }: Weights,
): ArticleEvidence[] {
  const byArticle = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    const known = byArticle.get(candidate.articleId);
    if (known) known.push(candidate);
    else byArticle.set(candidate.articleId, [candidate]);
  }
  return [...byArticle].map(([articleId, rows]) => {
    const passages = rows.filter(({ isQuestion }) => !isQuestion);
    const text = words.map((_, i) => Math.max(0, ...passages.map(({ has }) => has[i] ?? 0)));
    const questions = rows
      .filter(({ isQuestion }) => isQuestion)
      .flatMap((row) => {
        const weight = weightOf(row);
        return weight === null ? [] : [{ index: row.index, likeness: likenessOf(words, row.has, weight) }];
      })
      .sort((a, b) => b.likeness - a.likeness);
    return {
      articleId,
      text: shareOf(words, text),
      anywhere: shareOf(
        words,
        words.map((_, i) => {
          const often = rows.reduce((sum, { has }) => sum + (has[i] ?? 0), 0);
          return often / (often + saturation);
        }),
      ),
      bestPassage: Math.max(0, ...passages.map(({ has }) => shareOf(words, has))),
      likeness: questions.map(({ likeness }) => likeness),
      bestQuestion: questions[0]?.index ?? null,
    };
  });
}

/** How well the article may answer, before its title and headings are looked at. */
export function promise({ text, anywhere, bestPassage, likeness }: ArticleEvidence, weights: Weights): number {
  return Math.max(
    weights.passage * bestPassage + weights.article * text,
    weights.likeness * (likeness[0] ?? 0) + weights.anywhere * anywhere + weights.questionPassage * bestPassage,
  );
}

/** From 0 to 1: how well the passage answers, by its text or by the questions of its article, whichever proves more. */
export function score(article: ArticleEvidence, found: PassageEvidence, weights: Weights): number {
  const byText =
    (1 - weights.namedQuestion * Math.min(found.namedQuestions, 10)) *
    (weights.passage * found.passage +
      weights.article * article.text +
      weights.title * found.title +
      weights.heading * found.heading);
  const neighbours = [0, 1, 2].reduce((sum, i) => sum + (article.likeness[i] ?? 0) / 3, 0);
  const byQuestions =
    weights.likeness * (article.likeness[0] ?? 0) +
    weights.neighbours * neighbours +
    weights.anywhere * article.anywhere +
    weights.questionPassage * found.passage +
    weights.alike * found.alike * (article.likeness[0] ?? 0);
  return Math.min(1, Math.max(byText, byQuestions) + (found.isLead ? weights.lead : 0));
}

/** From 0 to 1: how sure it is that the article answers. `ahead` is how far its score is ahead of the next article's. */
export function certaintyOf(
  words: readonly AskedWord[],
  { article, found }: { article: ArticleEvidence; found: PassageEvidence },
  ahead: number,
  weights: Certainty,
): number {
  const likeness = article.likeness[0] ?? 0;
  const unknown = words.map(({ own }) => (own.terms.length === 0 ? 1 : 0));
  const sum =
    weights.base +
    weights.ahead * Math.min(ahead, weights.enough) +
    weights.likeness * likeness +
    weights.anywhere * article.anywhere +
    weights.text * article.text +
    weights.unknown * shareOf(words, unknown) +
    weights.brevity / words.length;
  const { least, ofText, namedQuestion, textThreshold } = weights;
  const byQuestions = likeness < least.likeness && article.text < least.text ? 0 : 1 / (1 + Math.exp(-sum));
  const byText =
    (ofText.article * article.text + ofText.passage * found.passage + ofText.title * found.title) *
    (1 - namedQuestion * Math.min(found.namedQuestions, 10));
  return Math.max(byQuestions, byText >= textThreshold ? Math.max(byText, weights.threshold) : 0);
}
