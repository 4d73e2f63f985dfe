import './schema/article.ts';
import './schema/citation.ts';
import './schema/commands.ts';
import './schema/corpus.ts';
import './schema/queries.ts';
import './schema/unanswered.ts';
