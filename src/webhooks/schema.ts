import './schema/webhook.ts';
import './schema/delivery.ts';
import './schema/commands.ts';
import './schema/delivery-commands.ts';
import './schema/queries.ts';
