import type { ConversationEvent, Fragment } from '../../client/events.ts';
import type { Paragraph, Terminal } from './terminal.ts';

/** Prints a reply's fragments as they come: calls and their responses in a line, text as it is written. */
export class ReplyPrinter {
  private readonly terminal: Terminal;
  private paragraph: Paragraph | null = null;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  take(event: ConversationEvent): void {
    switch (event.__typename) {
      case 'FragmentDelta':
        this.paragraph ??= this.beginText(event.offset);
        this.paragraph.add(event.text);
        break;
      case 'FragmentCompleted':
        this.complete(event.fragment);
        break;
      default:
    }
  }

  /** Ends the line, where the reply ends or is left. */
  end(): void {
    this.paragraph?.end();
    this.paragraph = null;
  }

  private beginText(offset: number): Paragraph {
    const paragraph = this.terminal.begin('text');
    if (offset > 0) paragraph.add('…');
    return paragraph;
  }

  private complete(fragment: Fragment): void {
    switch (fragment.__typename) {
      case 'FunctionCallFragment':
        this.terminal.row('call', `${fragment.name}(${JSON.stringify(fragment.args)})`);
        break;
      case 'FunctionResponseFragment':
        this.terminal.row('response', inShort(fragment.response));
        break;
      default:
        this.end();
    }
  }
}

/** Of what the knowledge base found, the titles; of anything else, the beginning. */
function inShort(response: unknown): string {
  const titles = new Set(passagesIn(response).map(({ title }) => title));
  if (titles.size > 0) return `${passagesIn(response).length} passages from: ${[...titles].join(', ')}`;
  const json = JSON.stringify(response);
  return json.length > 100 ? `${json.slice(0, 100)}…` : json;
}

function passagesIn(response: unknown): { title: string }[] {
  if (typeof response !== 'object' || response === null || !('passages' in response)) return [];
  const { passages } = response;
  return Array.isArray(passages) ? passages.filter(hasTitle) : [];
}

function hasTitle(passage: unknown): passage is { title: string } {
  return typeof passage === 'object' && passage !== null && 'title' in passage && typeof passage.title === 'string';
}
