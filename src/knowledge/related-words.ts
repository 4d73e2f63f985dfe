/**
 * Words that people use for one another when they ask about software, chats and orders, and that WordNet does not have as
 * synonyms, or only in a rare meaning. A word may be in several groups.
 */
const groups = `chat conversation dialog dialogue thread discussion|bot chatbot agent assistant ai robot|
  llm model gpt ai openai|user customer client visitor guest consumer|reply answer response|
  server instance node machine host backend process replica|stop cancel abort interrupt halt quit pause|
  delete remove erase wipe purge clear|key token credential secret password|human person people staff colleague employee operator|
  show display render present view|company organization organisation tenant business firm|
  crash die fail break down outage|disconnect drop lose cut interrupt offline|reconnect resume continue recover|
  refresh reload|duplicate twice double again repeat|start begin launch boot run|install setup deploy|
  config configure configuration setting option env variable environment|edit change modify update alter adjust|
  limit maximum max quota cap restriction|size length long big large|fast quick speed slow performance|
  error failure fault problem issue bug|picture image photo file attachment upload media|document doc file article page text|
  search find look lookup query|list overview show|secure security safe safety protect|private privacy confidential gdpr|
  login signin authenticate authentication auth credential|permission right access allow authorize|
  browser frontend web page website client|app application|phone mobile device tablet computer laptop desktop|
  wait pending queue line|assign take accept claim|close end finish done resolve complete|open create new make|
  transfer handoff handover escalate takeover hand forward|name title rename label|history log transcript archive past previous old|
  prompt instruction persona personality|source citation reference cite|learn teach train|knowledge faq docs|
  function tool call action|price cost pay charge fee|buy purchase order|money refund reimburse|bill invoice receipt|
  send post submit write deliver|receive get obtain|simultaneous concurrent parallel|retry again repeat redo|
  regenerate redo again another|hallucinate invent guess|tab window|stream live realtime token chunk|type write typing|
  version release upgrade|test check verify|parameter argument option|hosting host hosted deploy cloud|db database postgres|
  scale grow load traffic`;

const related = new Map<string, Set<string>>();
for (const group of groups.split('|')) {
  const words = group.trim().split(/\s+/);
  for (const word of words) related.set(word, new Set([...(related.get(word) ?? []), ...words]));
}

/** The words of this one's groups, the word itself among them; none for a word in no group. */
export function relatedTo(word: string): Iterable<string> {
  return related.get(word) ?? [];
}
