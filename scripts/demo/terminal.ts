import { styleText } from 'node:util';

const MARGIN = '  ';
const LABEL_WIDTH = 10;
const PROGRESS_MS = 4000;

/** Lines for people, in colour where colour is wanted. */
export class Terminal {
  private readonly stream: NodeJS.WriteStream;
  private readonly colours: boolean;
  readonly width: number;

  constructor(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv) {
    this.stream = stream;
    this.colours = stream.isTTY && !env.NO_COLOR && env.TERM !== 'dumb';
    this.width = Math.max(40, Math.min(stream.columns || 80, 96) - 2);
  }

  heading(text: string): void {
    this.write(`\n${this.style('bold', text)}\n`);
  }

  /** A paragraph of prose. */
  say(text: string): void {
    const paragraph = new Paragraph(this, MARGIN);
    paragraph.add(text);
    paragraph.end();
  }

  /** An operation, in short. */
  operation(text: string): void {
    this.write(`\n${MARGIN}${this.style('dim', `> ${text}`)}\n\n`);
  }

  /** A line or more with a name before them. */
  row(label: string, text: string): void {
    const paragraph = this.begin(label);
    paragraph.add(text);
    paragraph.end();
  }

  /** A labelled text that will come in pieces. */
  begin(label: string): Paragraph {
    this.write(`${MARGIN}${this.style('cyan', label.padEnd(LABEL_WIDTH))}`);
    const indent = MARGIN + ' '.repeat(LABEL_WIDTH);
    return new Paragraph(this, indent, indent.length);
  }

  blank(): void {
    this.write('\n');
  }

  /** Says something every few seconds until the work is done. */
  async patiently<T>(progress: string, work: Promise<T>): Promise<T> {
    const timer = setInterval(() => this.say(progress), PROGRESS_MS);
    try {
      return await work;
    } finally {
      clearInterval(timer);
    }
  }

  write(text: string): void {
    this.stream.write(text);
  }

  private style(format: 'bold' | 'cyan' | 'dim', text: string): string {
    return this.colours ? styleText(format, text) : text;
  }
}

/** Text that is wrapped as it comes. */
export class Paragraph {
  private readonly terminal: Terminal;
  private readonly indent: string;
  private column: number;
  /** Spaces that are written only before a word on the same line. */
  private gap = '';

  constructor(terminal: Terminal, indent: string, column = 0) {
    this.terminal = terminal;
    this.indent = indent;
    this.column = column;
  }

  add(text: string): void {
    for (const token of text.match(/\n| +|[^\s]+/g) ?? []) {
      if (token === '\n') this.breakLine();
      else if (token.startsWith(' ')) this.gap += token;
      else this.word(token);
    }
  }

  end(): void {
    if (this.column > 0) this.breakLine();
  }

  private word(word: string): void {
    const { width } = this.terminal;
    if (this.column > this.indent.length && this.column + this.gap.length + word.length > width) this.breakLine();
    const text = (this.column === 0 ? this.indent : '') + this.gap + word;
    this.terminal.write(text);
    this.column += text.length;
    this.gap = '';
  }

  private breakLine(): void {
    this.terminal.write('\n');
    this.column = 0;
    this.gap = '';
  }
}
