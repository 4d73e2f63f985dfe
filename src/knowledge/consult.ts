import type { Found, KeepUnanswered, KnowledgeSearch } from '../agents/knowledge/port.ts';
import { RuntimeError } from '../agents/runtime.ts';
import { UnavailableError } from '../errors.ts';
import { encodeId } from '../ids.ts';
import type { Logger } from '../logger.ts';
import { retry } from '../retry.ts';
import type { KnowledgeBase } from './knowledge-base.ts';
import { type KnowledgePassage, tagsOf } from './search.ts';
import { keepUnanswered, type UnansweredServices } from './unanswered.ts';

/**
 * How agents search: with the public ids of the articles. A database that is away delays a search, and for the silence of a
 * runtime there is a limit; too many searches at once end the reply with an error that says so.
 */
export function consult(knowledge: KnowledgeBase, logger: Logger): KnowledgeSearch {
  return async ({ queryMetadata, ...request }, signal) => {
    const search = async (): Promise<Found | UnavailableError> => {
      try {
        return await knowledge.search({ ...request, tags: tagsOf(queryMetadata) });
      } catch (error) {
        if (error instanceof UnavailableError) return error;
        throw error;
      }
    };
    const found = await retry(search, {
      signal,
      onFailure: (error) => logger.warn({ err: error }, 'could not search the knowledge; trying again'),
    });
    if (found instanceof UnavailableError) throw new RuntimeError(`The knowledge base is busy. ${found.message}`);
    return { passages: found.passages.map(withPublicId), near: found.near.map(withPublicId) };
  };
}

function withPublicId(passage: KnowledgePassage): KnowledgePassage {
  return { ...passage, articleId: encodeId('Article', passage.articleId) };
}

/** How agents leave what they could not answer. A question that cannot be kept is logged, and the reply goes on. */
export function keeper(services: UnansweredServices, logger: Logger): KeepUnanswered {
  return async (question) => {
    await keepUnanswered(services, question).catch((error: unknown) =>
      logger.warn({ err: error }, 'could not keep a question that has no answer'),
    );
  };
}
