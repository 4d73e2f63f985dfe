import './schema/agent.ts';
import './schema/commands.ts';
import './schema/failure-types.ts';
import './schema/queries.ts';
