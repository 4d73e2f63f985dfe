/**
 * What the ranking is made of: shares of a score from 0 to 1, and below them what the words count for. They were chosen on the
 * questions of test/fixtures/training, which no test holds the search to; `npm run evaluate:search` shows what a change does.
 */
export interface Weights {
  /** How far a passage's text alone proves that it answers: the asked words that stand in the passage, … */
  passage: number;
  /** … anywhere in the text of its article, … */
  article: number;
  /** … in the title of the article, … */
  title: number;
  /** … and in the headings above the passage. */
  heading: number;
  /** How far the questions of an article prove that it answers: how much the one that is most like it is, … */
  likeness: number;
  /** … how much the best three are on average, … */
  neighbours: number;
  /** … the asked words that stand anywhere in the article or its questions, … */
  anywhere: number;
  /** … the asked words that stand in the passage, … */
  questionPassage: number;
  /** … and the words of the most alike question that stand there, which tell the passages of an article apart. */
  alike: number;
  /** Goes to the beginning of an article, which is the answer when nothing else tells its passages apart. */
  lead: number;
  /** What a synonym counts for, where the word itself counts for 1. */
  synonym: number;
  /** What a word counts for that the corpus does not have, where one that stands once counts for 1. */
  unknown: number;
  /** How much more a rare word counts than a common one: the power of its weight. */
  rarity: number;
  /** Of how many of an article's passages and questions half of a word's worth comes. */
  saturation: number;
  /** What a text loses for each question of its article, ten at most: the more it names, the less its text alone proves. */
  namedQuestion: number;
}

/**
 * What tells whether the best article answers at all. Where it names questions, these count, in a logistic regression of what is
 * known of it; where it names few, its text does.
 */
export interface Certainty {
  base: number;
  /** By how much its score is ahead of that of the next article, where a lead beyond `enough` proves no more. */
  ahead: number;
  enough: number;
  /** How much the most alike of its questions is like what is asked. */
  likeness: number;
  anywhere: number;
  text: number;
  /** The share of the question whose words the corpus does not have, but for synonyms. */
  unknown: number;
  /** One divided by the number of words: a single one tells little. */
  brevity: number;
  /** With less likeness and less of the question in the text than this, nothing is sure. */
  least: { likeness: number; text: number };
  /** What the asked words in the text of the article, in the passage and in the title prove together, … */
  ofText: { article: number; passage: number; title: number };
  /** … less so much of it for each question that the article names, ten at most; … */
  namedQuestion: number;
  /** … and from where on that is an answer. */
  textThreshold: number;
  /** From here on it is an answer; below it there are words in common with the question, but no answer. */
  threshold: number;
  /** From here on the article is at least near the question. */
  near: number;
}

export const weights: Weights = {
  passage: 0.15,
  article: 0.3,
  title: 0.2,
  heading: 0.1,
  likeness: 0.3,
  neighbours: 0.36,
  anywhere: 0.37,
  questionPassage: 0.03,
  alike: 0.05,
  lead: 0.01,
  synonym: 0.22,
  unknown: 0.95,
  rarity: 1.2,
  saturation: 0.42,
  namedQuestion: 0.026,
};

export const certainty: Certainty = {
  base: -2.76,
  ahead: 8.27,
  enough: 0.12,
  likeness: 5.01,
  anywhere: 2.61,
  text: 1.13,
  unknown: -2.55,
  brevity: -4.0,
  least: { likeness: 0.45, text: 0.1 },
  ofText: { article: 0.5, passage: 0.3, title: 0.2 },
  namedQuestion: 0.06,
  textThreshold: 0.38,
  threshold: 0.5,
  near: 0.2,
};
