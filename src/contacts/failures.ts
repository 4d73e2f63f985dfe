import { UserError } from '../errors.ts';

/** The person is blocked. */
export class ContactBlockedError extends UserError {
  override name = 'ContactBlockedError';
  readonly contactId: string;

  constructor(contactId: string) {
    super('The person is blocked. Unblock them first.');
    this.contactId = contactId;
  }
}
