import { compile, type FormatCallback, type HtmlToTextOptions, type SelectorDefinition } from 'html-to-text';
import { isJsonObject } from '../../json.ts';
import { type LetterLine, linesOfMarked, MARK, MARKS } from './letter-lines.ts';

/** Deeper elements are left out. */
const MAX_DEPTH = 250;
/** What comes after so many tags is left out. */
const MAX_TAGS = 50_000;
/** Further children of one element are left out. */
const MAX_CHILDREN = 20_000;

/** Elements by which mail programs hold the letter that is answered. */
const QUOTES = [
  'blockquote[type="cite"]',
  'blockquote.gmail_quote',
  'blockquote#isReplyContent',
  'div.gmail_attr',
  'div.moz-cite-prefix',
  'div.protonmail_quote',
  'div.tutanota_quote',
  'div[name="messageReplySection"]',
  'div[class*="yahoo_quoted"]',
  'div#OLK_SRC_BODY_SECTION',
  'span#OLK_SRC_BODY_SECTION',
  'includetail',
  'div.zmail_extra',
  'div.WPSQuote',
];

/** Elements below which all is the letter that is answered. */
const BORDERS = [
  'div#appendonsend',
  'div#divRplyFwdMsg',
  'div#mail-editor-reference-message-container',
  'hr#stopSpelling',
  'hr[data-marker="__DIVIDER__"]',
  'div[style*="border-top:solid #E1E1E1 1.0pt"]',
  'div[style*="border-top:solid #B5C4DF 1.0pt"]',
  'div[style*="border-top: 1pt solid rgb(225, 225, 225)"]',
  'div[style*="border-top-color: rgb(229, 229, 229)"]',
];

const SIGNATURES = [
  'div.gmail_signature',
  'div[data-smartmail="gmail_signature"]',
  'div.moz-signature',
  'pre.moz-signature',
  'div#Signature',
  'div#ms-outlook-mobile-signature',
  'div[id*="ms-outlook-mobile-signature"]',
  'div#composer_signature',
  'div[data-signatureblock="true"]',
  'div[name="messageSignatureSection"]',
  'div.protonmail_signature_block',
  'div#AppleMailSignature',
  'div[class*="yahoo-signature"]',
];

const alone: Parameters<Parameters<FormatCallback>[2]['openBlock']>[0] = { leadingLineBreaks: 1 };

const mark = (builder: Parameters<FormatCallback>[2], sign: string) => {
  builder.openBlock(alone);
  builder.addInline(sign);
  builder.closeBlock({ trailingLineBreaks: 1 });
};

const between =
  (begins: string, ends: string): FormatCallback =>
  (element, walk, builder) => {
    mark(builder, begins);
    walk(element.children, builder);
    mark(builder, ends);
  };

const formatters: Record<string, FormatCallback> = {
  quote: between(MARK.quoteBegins, MARK.quoteEnds),
  citation: between(MARK.citationBegins, MARK.citationEnds),
  signature: between(MARK.signatureBegins, MARK.signatureEnds),
  border: (element, walk, builder) => {
    mark(builder, MARK.restIsQuoted);
    builder.openBlock(alone);
    walk(element.children, builder);
    builder.closeBlock({ trailingLineBreaks: 1 });
  },
  cell: (element, walk, builder) => {
    walk(element.children, builder);
    builder.addInline(' ');
  },
  // At the end of a block, a break that follows something makes no empty line.
  break: (element, _walk, builder) => {
    if (!isLastOfBlock(element)) builder.addLineBreak();
  },
  // Some programs write emoji as pictures.
  emoji: (element, _walk, builder) => {
    const attributes: unknown = element.attribs;
    const text = isJsonObject(attributes) ? attributes.alt : null;
    if (typeof text === 'string' && text.length <= 16) builder.addInline(text);
  },
};

type Element = Parameters<FormatCallback>[0];

const INLINE = new Set(['a', 'b', 'i', 'u', 'em', 'strong', 'font', 'span', 'o:p', 'small', 'big']);
const isBlank = (node: Element) => node.type === 'text' && (node.data ?? '').trim() === '';

function isLastOfBlock(element: Element): boolean {
  let isAfterSomething = false;
  for (let node = element; ;) {
    const { parent } = node;
    if (!parent) return false;
    const { children } = parent;
    const last = children.findLastIndex((child) => !isBlank(child));
    if (children[last] !== node) return false;
    const before = children.slice(Math.max(0, last - 20), last).findLast((child) => !isBlank(child));
    isAfterSomething ||= before !== undefined && before.name !== 'br';
    if (!INLINE.has(parent.name ?? '')) return isAfterSomething;
    node = parent;
  }
}

const each = (selectors: string[], format: string): SelectorDefinition[] =>
  selectors.map((selector) => ({ selector, format }));

const lines = (leadingLineBreaks: number, trailingLineBreaks = leadingLineBreaks) => ({
  leadingLineBreaks,
  trailingLineBreaks,
});

const options: HtmlToTextOptions = {
  wordwrap: false,
  formatters,
  limits: { maxDepth: MAX_DEPTH, maxChildNodes: MAX_CHILDREN, ellipsis: '…' },
  selectors: [
    {
      selector: 'a',
      options: { hideLinkHrefIfSameAsText: true, linkBrackets: ['<', '>'] },
    },
    { selector: 'br', format: 'break' },
    { selector: 'img', format: 'skip' },
    ...each(['img[data-emoji]', 'img[goomoji]'], 'emoji'),
    { selector: 'p', options: lines(2) },
    { selector: 'p.MsoNormal', format: 'paragraph', options: lines(1) },
    ...['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((selector) => ({
      selector,
      options: { uppercase: false, ...lines(2) },
    })),
    { selector: 'ul', options: { itemPrefix: '- ', ...lines(1) } },
    { selector: 'ol', options: lines(1) },
    { selector: 'hr', options: { length: 20, ...lines(1) } },
    { selector: 'table', format: 'block', options: lines(1) },
    { selector: 'tr', format: 'block', options: lines(1) },
    ...each(['td', 'th'], 'cell'),
    ...each(['script', 'style', 'title', 'noscript', 'template', 'head'], 'skip'),
    { selector: 'blockquote', format: 'citation' },
    ...each(QUOTES, 'quote'),
    ...each(BORDERS, 'border'),
    ...each(SIGNATURES, 'signature'),
  ],
};

const convert = compile(options);
/** Outlook on the web says in a style sheet that its paragraphs have no space between them. */
const convertDense = compile({
  ...options,
  selectors: [...(options.selectors ?? []), { selector: 'p', options: lines(1) }],
});
const IS_DENSE = /\bp ?\{ ?margin-top: ?0(?:px)?; ?margin-bottom: ?0/i;

/** The lines of a letter's HTML. It may throw when the HTML is out of all measure. */
export function linesOfHtml(html: string): LetterLine[] {
  const isDense = IS_DENSE.test(html.slice(0, 20_000));
  return linesOfMarked((isDense ? convertDense : convert)(withFewTags(html).replace(MARKS, '')));
}

function withFewTags(html: string): string {
  let at = -1;
  for (let tags = 0; tags <= MAX_TAGS; tags += 1) {
    at = html.indexOf('<', at + 1);
    if (at < 0) return html;
  }
  return html.slice(0, at);
}
