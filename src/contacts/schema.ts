import './schema/contact.ts';
import './schema/failure-types.ts';
import './schema/client-token.ts';
import './schema/commands.ts';
import './schema/queries.ts';
