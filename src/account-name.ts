import { userInfo } from 'node:os';

/** The name of the account that runs the server. Some machines have an account without a name. */
export function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'This machine';
  }
}
