import './schema/agent.ts';
import './schema/commands.ts';
import './schema/failures.ts';
import './schema/queries.ts';
