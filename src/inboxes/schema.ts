import './schema/inbox.ts';
import './schema/commands.ts';
import './schema/queries.ts';
import './schema/visit.ts';
