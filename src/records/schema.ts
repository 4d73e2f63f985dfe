import './schema/export.ts';
import './schema/organization.ts';
import './schema/records.ts';
