/** The settings of the script. */
export interface PageSettings {
  /** Whether the server exchanges the token of a link for a session. */
  signsIn: boolean;
  signInPath: string;
  apiPath: string;
}

/**
 * A style and a script for the head of the GraphiQL page. They run before the page does. The script exchanges the token of a
 * link for a session, and fills in the ids that the examples need. An operation whose name begins with `Visitor` is sent with the
 * token of a visit.
 *
 * The session is stored for this origin only. A cookie would also be sent to every other port of this machine.
 */
export function pageScript(settings: PageSettings): string {
  return `<style>${style}</style><script>(${script})(${JSON.stringify(settings)});</script>`;
}

/** Without this a tab moves away under the pointer when pressed, and the click is lost. */
const style = 'li.graphiql-tab.graphiql-tab { transform: none !important; }';

/** JavaScript, for browsers. */
const script = /* js */ `async function ({ signsIn, signInPath, apiPath }) {
  const ask = window.fetch.bind(window);
  const SESSION = 'parley:session';
  const SUBJECT = 'parley:subject';

  /** The conversation and the reply that the examples use. With a token, it is a visitor's. */
  let subject = JSON.parse(sessionStorage.getItem(SUBJECT) ?? 'null');
  function setSubject(next) {
    subject = next;
    sessionStorage.setItem(SUBJECT, JSON.stringify(next));
  }

  async function signIn() {
    const token = new URLSearchParams(location.hash.slice(1)).get('sign-in');
    if (!token) return;
    history.replaceState(null, '', location.pathname + location.search);
    const response = await ask(signInPath, { method: 'POST', headers: { Authorization: 'Bearer ' + token } });
    if (response.ok) localStorage.setItem(SESSION, (await response.json()).session);
  }

  function showNotice() {
    if (document.getElementById('parley-notice')) return;
    const notice = document.createElement('div');
    notice.id = 'parley-notice';
    notice.textContent =
      'This page is not signed in. Open the link that the server printed, print another with: npm run sign-in – ' +
      'or give an API key in the Headers pane.';
    notice.style.cssText =
      'position:fixed;bottom:0;left:0;right:0;z-index:99;padding:10px 16px;font:14px sans-serif;background:#fff3bf;color:#222';
    document.body.append(notice);
  }

  const startAsVisitor =
    'mutation { createConversation(input: { action: NONE }) { ... on CreateConversationPayload { conversation { id } cursor } } }';
  const sayAsVisitor =
    'mutation ($id: ID!) { sendMessage(input: { conversationId: $id, action: NONE, ' +
    'content: { text: "My order has not arrived." } }) { __typename } }';

  const start =
    'mutation { createConversation(input: { message: { content: { text: "What is Parley?" } }, ' +
    'runtimeParameters: { wordsPerSecond: 6 } }) { ... on CreateConversationPayload { conversation { id } cursor reply { id } } } }';

  /** The page sends queries in the body and subscriptions in the URL. */
  function operationIn(url, init) {
    if (typeof init?.body === 'string') return JSON.parse(init.body);
    if (!url.searchParams.has('query')) return null;
    const variables = JSON.parse(url.searchParams.get('variables') ?? '{}');
    return { ...Object.fromEntries(url.searchParams), variables, extensions: undefined };
  }

  async function post(headers, body, init) {
    const response = await ask(apiPath, { ...init, method: 'POST', headers, body: JSON.stringify(body) });
    const { token, expiresAt } = (isVisitors(headers) && subject) || {};
    if (response.status === 401 && token) setSubject(null);
    else if (response.status === 401 && signsIn) {
      localStorage.removeItem(SESSION);
      showNotice();
    }
    if (response.headers.get('content-type')?.includes('json')) {
      const { data, errors } = (await response.clone().json().catch(() => null)) ?? {};
      const begun = data?.createConversation;
      if (begun?.conversation?.id)
        setSubject({ token, expiresAt, conversationId: begun.conversation.id, after: begun.cursor, replyId: begun.reply?.id });
      const visit = data?.startVisit;
      if (visit?.token) setSubject({ token: visit.token, expiresAt: visit.expiresAt });
      const reply = data?.sendMessage?.reply;
      if (reply?.id && subject) setSubject({ ...subject, replyId: reply.id });
      // The conversation may have been deleted.
      if (errors?.some(({ extensions }) => extensions?.code === 'NOT_FOUND')) setSubject(null);
      if (data?.sendMessage?.__typename === 'NotFoundError') setSubject(null);
    }
    return response;
  }

  const isVisitors = (headers) => subject?.token && headers.get('Authorization') === 'Bearer ' + subject.token;

  /** The key of a web chat that takes anybody: one that is there, or a new one. */
  async function findWebChat(headers) {
    const read = async (query) => (await (await post(headers, { query })).json()).data;
    const known = await read('{ inboxes(first: 100) { nodes { publicKey allowedOrigins allowsAnonymous } } }');
    const open = known?.inboxes.nodes.find((each) => each.publicKey && each.allowsAnonymous && each.allowedOrigins.length === 0);
    if (open) return open.publicKey;
    const made = await read('mutation { createInbox(input: { name: "Web chat", channel: WEB_CHAT }) ' +
      '{ ... on CreateInboxPayload { inbox { publicKey } } } }');
    return made?.createInbox?.inbox?.publicKey;
  }

  async function visit(headers) {
    const variables = { inboxKey: await findWebChat(headers) };
    await post(headers, { variables, query: 'mutation ($inboxKey: String!) { startVisit(input: { inboxKey: $inboxKey }) ' +
      '{ ... on StartVisitPayload { token expiresAt } } }' });
  }

  const ready = signIn().catch(() => undefined);

  window.fetch = async (input, init) => {
    await ready;
    const url = new URL(String(input), location.href);
    const body = url.pathname === apiPath ? operationIn(url, init) : null;
    if (!body) return ask(input, init);
    const headers = new Headers(init?.headers);
    const session = localStorage.getItem(SESSION);
    if (session && !headers.has('Authorization')) headers.set('Authorization', 'Bearer ' + session);
    headers.set('Content-Type', 'application/json');
    // A session cookie counts only with it.
    headers.set('X-Parley-CSRF', '1');
    const json = new Headers(headers);
    json.set('Accept', 'application/json');
    if (body.query?.includes('$inboxKey') && body.variables?.inboxKey == null)
      body.variables = { ...body.variables, inboxKey: await findWebChat(json) };
    const asVisitor = /\\b(query|mutation|subscription) Visitor/.test(body.query);
    if (asVisitor) {
      if (!(Date.parse(subject?.expiresAt) > Date.now())) await visit(json);
      for (const each of [headers, json]) each.set('Authorization', 'Bearer ' + subject?.token);
    }
    const wanted = ['conversationId', 'replyId', 'after'].filter(
      (name) => body.query?.includes('$' + name) && body.variables?.[name] == null,
    );
    if (wanted.length > 0) {
      if (!subject?.conversationId && asVisitor) {
        await post(json, { query: startAsVisitor });
        // After the cursor from which the visitor follows, so that there is something to see.
        await post(json, { query: sayAsVisitor, variables: { id: subject?.conversationId } });
      } else if (!subject?.conversationId) await post(json, { query: start });
      const given = wanted.filter((name) => subject?.[name]).map((name) => [name, subject[name]]);
      body.variables = { ...body.variables, ...Object.fromEntries(given) };
    }
    return post(headers, body, init);
  };

  // The page learns the name of an operation a moment (100 ms) after its tab was opened, and until then would run it under the
  // name of another.
  const NAME_KNOWN_MS = 200;
  let opened = false;
  document.addEventListener(
    'click',
    (event) => {
      const button = event.target.closest?.('.graphiql-execute-button');
      if (event.target.closest?.('.graphiql-tab, .graphiql-tab-add')) opened = true;
      else if (button && opened) {
        opened = false;
        event.stopImmediatePropagation();
        setTimeout(() => button.click(), NAME_KNOWN_MS);
      }
    },
    true,
  );

  await ready;
  if (signsIn && !localStorage.getItem(SESSION)) showNotice();
}`;
