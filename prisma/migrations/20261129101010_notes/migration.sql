-- What operators tell each other in a conversation. Servers of the release before hide a role that they do not list.
ALTER TYPE "MessageRole" ADD VALUE 'NOTE';
