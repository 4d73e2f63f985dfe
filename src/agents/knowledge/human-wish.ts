/** A person, in the words of people who want one. */
const person =
  '(?:humans?|human being|(?:real|actual|live|living) (?:one|person|people|human|agent|man|woman)|persons?|people|' +
  '(?:human|live|support|service) (?:agent|person|rep|staff|team)|rep(?:resentative)?s?|operator|advis[eo]r|consultant|colleague|co ?worker|' +
  'employee|staff(?: member)?|member of (?:the )?(?:staff|team)|team ?mate|manager|supervisor|boss|customer (?:service|support|care)|' +
  'help ?desk|your team|support(?! (?:for|of)\\b))';
/** Somebody who is asked for only together with what they are to do. */
const anyone = `(?:${person}|someone|somebody|anyone|anybody|agent|your (?:people|guys))`;
const article = '(?:an? |the |some |another |any |your |one of your |with )*';
const adjectives = '(?:real |actual |live |living |other |different |proper |fellow |competent )*';
const aPerson = `${article}${adjectives}${person}`;
const someone = `${article}${adjectives}${anyone}`;

/** Says that the writer wants a human now. Each is tried on the text in small letters, without apostrophes. */
const wishes: readonly RegExp[] = [
  // Can I speak to someone? Let me talk to a human.
  `\\b(?:talk|speak|chat|discuss this|deal) (?:directly )?(?:to|with) ${someone}\\b`,
  // Connect me with support. Put me through to a person. Get me a human.
  `\\b(?:connect|transfer|forward|pass|redirect|switch|route|hand) (?:me|us|this|it) (?:through |over |on |off )?(?:to|with) ${someone}\\b`,
  `\\bput (?:me|us) (?:through|in touch|in contact)\\b`,
  `\\b(?:get|give|find|bring|send|fetch|call|show) (?:me|us) ${aPerson}\\b`,
  `\\b(?:get|give|find|bring|send|fetch|show) (?:me|us) (?:someone|somebody|anyone|anybody)(?: real| else)? (?:who|that|to|i|from)\\b`,
  `\\bget (?:hold of |me in touch with |in touch with |in contact with |through to )${someone}\\b`,
  `\\b(?:hand|pass) (?:me|us) (?:over|off|on)\\b`,
  `\\b(?:reach|contact) (?:an? |some |another |any )?${adjectives}${anyone}\\b`,
  // I want a human. I would rather have a real person.
  `\\b(?:i|we|id|ill|please|pls)\\b.{0,20}\\b(?:want|need|like|prefer|require|demand|have|get|see|try) ${aPerson}\\b(?! (?:to be|who (?:is|are) able))`,
  `\\b(?:want|need|have|let|like|ask) ${someone} (?:to )?(?:help|call|look|answer|take over|take this|talk|speak|deal|contact|reply|write|get back|sort)`,
  // Is there a human here? Can somebody call me?
  `\\b(?:is|are) there ${someone} (?:real |actual |else )?(?:here|there|around|available|i can|we can|i could|who can|to talk|to speak|to help|on the other)`,
  `\\bis (?:anyone|anybody|someone|somebody) (?:there|here|around)\\b`,
  `\\b(?:can|could|will|would|may) ${someone} (?:from (?:your |the )?\\w+ )?(?:please )?(?:call|phone|ring|contact|help|talk to|speak to|speak with|write to|get back to|answer) (?:me|us)\\b`,
  `\\b(?:can|could|will|would|may) ${someone} (?:from (?:your |the )?\\w+ )?(?:please )?(?:look into|look at|take care of|deal with) (?:this|my|it)\\b`,
  // No more bots!
  `\\b(?:not|dont|no|stop|without|instead of|fed up|sick|tired|enough)\\b.{0,30}\\b(?:talk|talking|speak|chat|deal|dealing|of|with|to|want)\\b.{0,12}\\b(?:bot|bots|robot|robots|machine|machines|computer|ai)\\b`,
  `\\bescalate\\b(?: (?:this|it|me|my))`,
  // I wish to converse with a human. Someone to talk to.
  `\\b(?:converse|communicate|interact|connected|in touch|touch base) (?:directly )?(?:to|with) ${someone}\\b`,
  `\\b(?:find|have|got|get|need|want|is there|there) (?:me )?${someone} (?:real |else |human )?(?:here )?(?:(?:who |that )?(?:i|we) (?:can|could) |to )(?:talk|speak|chat|write|turn)\\b`,
  // Get someone. Bring in a colleague. Have a human join. Switch me to a person.
  `^(?:please |pls |just |can you |could you |would you |will you |can we |could we |then |and )*(?:get|bring|send|fetch|call|put|have|let|involve|add|ask|give)(?: in| on| me| us)? (?:${aPerson}|someone|somebody|an agent)(?: (?:in|on|over|here|now|please|instead|join|answer|handle|on the line|on the phone|to join|to help)\\b|$)`,
  `^(?:please |pls |just |can you |could you )*(?:transfer|connect|escalate|redirect|forward|route|switch) (?:me|us)(?: now| please| over)?$`,
  `\\b(?:connect|transfer|forward|pass|redirect|switch|route|hand|escalate) (?:me|us|this|it|my \\w+)(?: (?:chat|request|conversation))? (?:through |over |on |off |up )*(?:to|with) ${someone}\\b`,
  `\\b(?:i|we|id|ill)\\b.{0,20}\\b(?:want|need|prefer|rather have|demand)(?: to have| to get)? (?:someone|somebody)(?: (?:real|human|else|now|please|here)|$)`,
  `\\b(?:need|want|get|help from|prefer) (?:human help|human support|human assistance|${aPerson} (?:now|please|instead|on|here|right))\\b`,
  `\\b(?:help|answer|support|assistance) (?:from|by) ${aPerson}\\b`,
  // Could a person help? A human should take over now. Any humans available?
  `^(?:please |hi |hello |ok )*(?:can|could|will|would|may) (?:we have |you have )?${someone} (?:human )?(?:else )?(?:please )?(?:help|assist|join|take over|read this|look into|answer this|step in)(?: (?:me|us|with this|this|this chat|please|now|instead))*$`,
  `\\b(?:like|prefer|want) (?:it )?(?:if )?${someone} (?:to |could |would )?(?:take over|handled?|help|join)`,
  `\\bany(?:one|body)? ?${adjectives}(?:humans?|people|persons?)? (?:available|around|here|there)\\b`,
  `\\bis ${aPerson} (?:available|around|here|there|online)\\b`,
  `\\b(?:who|whom) can i (?:talk to|speak (?:to|with)|call)$`,
  // German, French and Spanish.
  `\\b(?:mit|an|zu) (?:eine[mnr]? |de[mn] |jemande[mn] ?)(?:echten |richtigen |anderen )?(?:menschen?|mitarbeiter(?:in)?|person|support|kollegen|berater)\\b.{0,20}\\b(?:sprechen|reden|chatten|verbinden|weiterleiten)`,
  `\\b(?:verbinden sie mich|(?:bitte|will|möchte|brauche|kann ich|geben sie mir)\\b.{0,15}\\beinen? (?:echten )?(?:menschen|mitarbeiter|person|berater))`,
  `\\bparler (?:à|a|avec) (?:un|une|quelqu)|\\bun (?:agent|conseiller|opérateur) humain|\\bun humain s`,
  `\\bhablar con (?:un|una|alguien)|\\b(?:quiero|necesito|quisiera) (?:un|una) (?:agente|persona|humano)`,
].map((source) => new RegExp(source, 'u'));

/** The whole of what is said: "human please", "operator!" */
const bareWish = new RegExp(
  `^(?:please|pls|ok|okay|no|just|sorry|hello|hi|hey|now|a|an|the|real|actual|live|want|need|to|me|get|give|agent|${person}|someone|somebody| )+$`,
);
const named = new RegExp(`\\b(?:${person}|agent)\\b`);

/** Asks how something is done or works, and for nobody. */
const asksAbout =
  /^(?:and |so |but |ok |okay |hi |hello |hey )*(?:how|what|whats|when|why|where|which|who|explain|tell me (?:about|how|what)|does|do you|did|is it|describe|show me)\b/;
/** What one can ask with such a word and still want somebody: how do I reach a human? where is a real person? */
const asksForOneself =
  /\b(?:i|we)\b (?:just |please |finally |actually |even )*(?:talk|speak|chat|reach|contact|get (?:hold of|in touch|through|to)|find|call|see)\b/;
/** Somebody else is spoken of. */
const others =
  /\b(?:(?:my|our|the|a|an|end|your|every|each) )?(?:users?|customers?|clients?|visitors?|guests?|contacts?|patients?|shoppers?|callers?|(?:my|our) (?:agents?|bots?)|they|them|he|she|program|app|code|api)\b/;

/** Whether the message asks that a human takes over: not whether one can, nor how that works. */
export function wishesForHuman(message: string): boolean {
  const text = message
    .slice(0, 1000)
    .toLowerCase()
    .replace(/['’]/g, '')
    .replace(/\bwanna\b/g, 'want to')
    .replace(/ 2 /g, ' to ')
    .replace(/[^\p{L}\p{N}.!?;,]+/gu, ' ')
    .trim();
  return text
    .split(/[.!?;]+|, |\b(?:but|so)\b/)
    .map((clause) => clause.replaceAll(',', ' ').replace(/ +/g, ' ').trim())
    .some(isWish);
}

function isWish(clause: string): boolean {
  if (clause.length < 40 && bareWish.test(clause) && named.test(clause)) return true;
  if (asksAbout.test(clause) && !asksForOneself.test(clause)) return false;
  return wishes.some((wish) => {
    const found = wish.exec(clause);
    // "Customer service" is a person, whose name holds one of the others.
    return found !== null && !others.test(clause.slice(0, found.index));
  });
}
