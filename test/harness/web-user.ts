/** A person with a browser that runs no scripts: it keeps cookies, follows redirects one by one, and fills in forms. */
export class WebUser {
  private readonly jar = new Map<string, Map<string, string>>();

  /** Asks for one page, without following. */
  async ask(url: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    const cookies = this.cookiesOf(url);
    if (cookies) headers.set('Cookie', cookies);
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const cookie of response.headers.getSetCookie()) this.keep(url, cookie);
    return response;
  }

  /** What it would send along to a URL. */
  cookiesOf(url: string): string {
    const { host } = new URL(url);
    return [...(this.jar.get(host) ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** Follows redirects until `stop` or a page. Returns the last answer, and where it came from. */
  async follow(
    url: string,
    stop: (url: string) => boolean = () => false,
  ): Promise<{ url: string; response: Response | null }> {
    for (let at = url; ;) {
      if (stop(at)) return { url: at, response: null };
      const response = await this.ask(at);
      const location = response.headers.get('location');
      if (!location) return { url: at, response };
      at = new URL(location, at).href;
    }
  }

  /** Submits the form of a page, and follows. */
  async submit(
    page: { url: string; response: Response | null },
    fields: Record<string, string>,
    stop?: (url: string) => boolean,
  ): Promise<{ url: string; response: Response | null }> {
    const html = (await page.response?.text()) ?? '';
    const action = /<form[^>]* action="([^"]+)"/.exec(html)?.[1] ?? '';
    const hidden = [...html.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(
      ([, name = '', value = '']): [string, string] => [name, value],
    );
    const target = new URL(action, page.url).href;
    const body = new URLSearchParams([...hidden, ...Object.entries(fields)]);
    const response = await this.ask(target, { method: 'POST', body });
    const location = response.headers.get('location');
    return location ? this.follow(new URL(location, target).href, stop) : { url: target, response };
  }

  private keep(url: string, cookie: string): void {
    const { host } = new URL(url);
    const [pair = ''] = cookie.split(';', 1);
    const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    const cookies = this.jar.get(host) ?? new Map<string, string>();
    if (value === '' || /max-age=0/i.test(cookie)) cookies.delete(name);
    else cookies.set(name, value);
    this.jar.set(host, cookies);
  }
}
