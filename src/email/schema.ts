import './schema/letter.ts';
import './schema/queries.ts';
import './schema/commands.ts';
