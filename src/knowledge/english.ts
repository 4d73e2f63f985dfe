/** Words that do not say what is asked, including PostgreSQL's own stop words. */
export const fillers: ReadonlySet<string> = new Set(
  `able about above actually after again against all already also always am an and another any anybody anyhow anymore
  anyone anything anyway anywhere apparently are as ask asked asking at away basically be because been before being
  believe below between both but by came can come comes coming could couldnt currently definitely did didnt do does
  doesnt doing don done dont down during each easily either else especially etc ever every everybody everyone everything
  everywhere exactly example explain few find for from further gave get gets getting give given gives giving goes going
  gone gonna got gotta greetings guess had happen happened happening happens has hasnt have havent having he hello help
  hence her here hereby hers herself hey hi him himself his hopefully hoping how however hows idea if ill im in instead
  into is isnt it its itself ive just kind kindly know knowing known knows less let lets like likely little long look looking
  looks lot lots made make makes making many may maybe me mean means might mind more most much must my myself
  necessary need needed needs neither never no nobody none nor not nothing now obviously of off often okay on
  once one ones only or other otherwise ought our ours ourselves out over own particular perhaps please pls plz
  possible possibly presumably probably question questions quite rather really regarding said same say saying says see seeing seem
  seemed seems seen several shall she should shouldnt show shows simple simply so some somebody somehow someone something
  sometimes somewhat somewhere soon sorry sort still stuff such suppose supposed sure take taken takes taking tell tells
  than thank thanks that thats the their theirs them themselves then there thereby theres these they thing things think
  thinking this those though thought through thus to together told too took toward towards tried tries truly try trying
  two under unless until up use used uses using usually various very via wanna want wanted wants was wasnt way ways we
  went were werent what whatever whats when whenever where whereas wheres wherever whether which whichever while who
  whoever whole whom whose why will willing wish with within without wonder wondering wont work works would wouldnt yes
  yet you your youre yours yourself yourselves`.split(/\s+/),
);

/** Irregular forms of verbs and nouns, and abbreviations of units of measure. */
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

/** Pairs of endings that differ between British and American spelling, or between a verb and its noun. */
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

/** Other forms of the word that stemming does not find. Forms that are not words simply match nothing. */
export function otherForms(word: string): string[] {
  const withIrregular = (words: Iterable<string>) => [...words].flatMap((form) => [form, ...(forms.get(form) ?? [])]);
  const spelt = withIrregular([word]).flatMap((form) => [
    form,
    ...endings.map(([ending, other]) => form.replace(ending, other)),
  ]);
  const all = new Set(withIrregular(spelt));
  all.delete(word);
  return [...all];
}
