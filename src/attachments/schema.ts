import './schema/attachment.ts';
import './schema/create.ts';
import './schema/of-messages.ts';
