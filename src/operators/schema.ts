import './schema/operator.ts';
import './schema/failure-types.ts';
import './schema/commands.ts';
import './schema/queries.ts';
