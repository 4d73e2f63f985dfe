import { setTimeout as sleep } from 'node:timers/promises';
import type { Found, KeepUnanswered, KnowledgeSearch } from '../agents/knowledge/port.ts';
import { RuntimeError } from '../agents/runtime.ts';
import { encodeId } from '../ids.ts';
import type { Logger } from '../observability.ts';
import type { KnowledgeBase } from './knowledge-base.ts';
import { type KnowledgePassage, tagsOf } from './search.ts';
import { SearchBusyError } from './search-gate.ts';
import { keepUnanswered, type UnansweredServices } from './unanswered.ts';

/**
 * How agents search: with the public ids of the articles. A database that is away delays a search, and for the silence of a
 * runtime there is a limit; too many searches at once end the reply with an error that says so.
 */
export function consult(knowledge: KnowledgeBase, log: Logger): KnowledgeSearch {
  return async ({ queryMetadata, ...request }, signal): Promise<Found> => {
    for (let wait = 100; ; wait = Math.min(wait * 2, 2000)) {
      try {
        const { passages, near } = await knowledge.search({ ...request, tags: tagsOf(queryMetadata) });
        return { passages: passages.map(withPublicId), near: near.map(withPublicId) };
      } catch (error) {
        if (error instanceof SearchBusyError) throw new RuntimeError(`The knowledge base is busy. ${error.message}`);
        log.warn({ err: error }, 'could not search the knowledge; trying again');
        await sleep(wait, undefined, { signal });
      }
    }
  };
}

function withPublicId(passage: KnowledgePassage): KnowledgePassage {
  return { ...passage, articleId: encodeId('Article', passage.articleId) };
}

/** How agents leave what they could not answer. A question that cannot be kept is logged, and the reply goes on. */
export function keeper(services: UnansweredServices, log: Logger): KeepUnanswered {
  return async (question) => {
    await keepUnanswered(services, question).catch((error: unknown) =>
      log.warn({ err: error }, 'could not keep a question that has no answer'),
    );
  };
}
