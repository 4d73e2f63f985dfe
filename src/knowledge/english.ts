/** Words that show that something is asked, or how, and not what. PostgreSQL's own stop words come on top of them. */
export const fillers: ReadonlySet<string> = new Set(
  `able actually already also always another anybody anyhow anymore anyone anything anyway anywhere apparently are ask asked
  asking away basically believe came can come comes coming could couldnt currently definitely didnt does doesnt doing done
  dont easily either else especially etc ever every everybody everyone everything everywhere exactly example explain find
  gave get gets getting give given gives giving goes going gone gonna got gotta greetings guess happen happened
  happening happens hasnt havent hello help hence her hereby hey hi hopefully hoping how hows however idea ill im instead isnt
  its ive just kind kindly know knowing known knows less let lets like likely little look looking looks lot lots made
  make makes making many may maybe mean means might mind more most much must name namely necessary need needed needs
  neither never none nobody nothing obviously often okay once one ones only otherwise ought particular perhaps plain please
  pls plz possible possibly presumably probably question questions quite rather really regarding said say saying
  says seem seemed seems several shall should shouldnt show shows simple simply so some somebody somehow
  someone something sometimes somewhat somewhere soon sorry sort still stuff such suppose supposed sure take taken takes taking
  tell tells thank thanks thats there theres thereby thing things think thinking though thought thus together told
  too took toward towards tried tries truly try trying two unless until use used uses using usually various via wanna want
  wanted wants was wasnt way ways went were werent what whatever whats when whenever where whereas wheres wherever whether
  which whichever while who whoever whole whose will willing wish with within without wonder wondering wont work works would
  wouldnt yes yet you your youre`
    .split(/\s+/)
    .filter((word) => word !== ''),
);

/** Irregular forms of verbs and nouns, and units of measure as they are abbreviated. */
const irregular = `arise arose arisen|awake awoke awoken|bear bore borne|beat beaten|become became|begin began begun|bend bent|bind bound|
  bite bit bitten|bleed bled|blow blew blown|break broke broken|breed bred|bring brought|build built|burn burnt|buy bought|
  catch caught|choose chose chosen|cling clung|creep crept|deal dealt|dig dug|draw drew drawn|dream dreamt|drink drank drunk|
  drive drove driven|eat ate eaten|fall fell fallen|feed fed|feel felt|fight fought|flee fled|fly flew flown|
  forbid forbade forbidden|forget forgot forgotten|forgive forgave forgiven|freeze froze frozen|grind ground|grow grew grown|
  hang hung|have had|hear heard|hide hid hidden|hold held|keep kept|kneel knelt|lay laid|lead led|learn learnt|leave left|
  lend lent|lose lost|meet met|pay paid|prove proven|ride rode ridden|ring rang rung|rise rose risen|run ran|seek sought|
  sell sold|send sent|sew sewn|shake shook shaken|shine shone|shoot shot|shrink shrank shrunk|sing sang sung|sink sank sunk|
  sit sat|sleep slept|slide slid|speak spoke spoken|spell spelt|spend spent|spill spilt|spin spun|split|spoil spoilt|
  spring sprang sprung|stand stood|steal stole stolen|stick stuck|sting stung|strike struck|swear swore sworn|sweep swept|
  swell swollen|swim swam swum|swing swung|teach taught|tear tore torn|throw threw thrown|understand understood|
  wake woke woken|wear wore worn|weave wove woven|weep wept|win won|wind wound|withdraw withdrew withdrawn|write wrote written|
  child children|foot feet|man men|woman women|mouse mice|person people|tooth teeth|leaf leaves|life lives|half halves|
  knife knives|loaf loaves|shelf shelves|thief thieves|wife wives|good better best|bad worse worst|
  km kilometre kilometres|kg kilo kilos kilogram kilograms|cm centimetre centimetres|mm millimetre millimetres`;

const forms = new Map(
  irregular.split('|').flatMap((line) => {
    const group = line.trim().split(/\s+/);
    return group.map((word): [string, string[]] => [word, group]);
  }),
);

/** Endings that change places where the spelling is British or American, or where a verb becomes a noun. */
const endings: readonly [RegExp, string][] = [
  [/(?<=[bt])re(?=s?$)/, 'er'],
  [/(?<=[bt])er(?=s?$)/, 're'],
  [/(?<=[a-z]{2})our(?=(s|ed|ing|ite|able)?$)/, 'or'],
  [/(?<=[a-z]{2})or(?=(s|ed|ing|ite|able)?$)/, 'our'],
  [/(?<=[a-z]{3}[iy])s(?=(e[ds]?|ing|ations?)$)/, 'z'],
  [/(?<=[a-z]{3}[iy])z(?=(e[ds]?|ing|ations?)$)/, 's'],
  [/(?<=[a-z]{5}er)(s|ed|ing)?$/, 'y'],
  [/(?<=[a-z]{5}er)(y|ies)$/, ''],
  [/(?<=[a-z]{3})(s|ed|ing)?$/, 'ment'],
  [/(?<=[a-z]{3})ments?$/, ''],
  [/(?<=cri)b(e[ds]?|ing)$/, 'ption'],
  [/(?<=cri)ptions?$/, 'be'],
  [/(?<=[a-z]{2}i?)f(y|ies|ied|ying)$/, 'fication'],
  [/(?<=[a-z]{2}i?)fications?$/, 'fy'],
];

/** Other forms of the word that stemming does not lead to. Those that are no words find nothing. */
export function otherForms(word: string): string[] {
  const spellings = [word, ...endings.map(([ending, other]) => word.replace(ending, other))];
  const all = new Set(spellings.flatMap((form) => [form, ...(forms.get(form) ?? [])]));
  all.delete(word);
  return [...all];
}
