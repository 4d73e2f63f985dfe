/** Somebody may not sign in. The message is for them. */
export class SignInRefused extends Error {
  override name = 'SignInRefused';
}
