/** Words of help in general that people use for one another: what they ask with one may be written with another. */
const groups = `add include insert|agree accept approve consent|agreement contract|alter amend change edit modify update
adjust|answer reply respond response|apartment flat home house|appointment booking reservation slot|assist help support
attach fasten fix mount|autumn fall|baby child infant kid toddler|bag luggage suitcase|begin commence start
bicycle bike cycle|bill invoice|boss employer manager supervisor|break damage defect destroy fault
broken damaged defective faulty|bug error fault problem issue trouble|business company firm organisation employer
buy order purchase|call phone telephone|cancel end quit stop terminate unsubscribe leave|car vehicle automobile
cash money|charge cost fee price|cheap affordable inexpensive|choose pick select|clean wash|client customer
close shut|clothes clothing|colleague coworker|collect fetch pickup|collision crash accident|company firm
complaint complain|confirm verify validate|connect link pair join|contact reach|cover insurance insured|copy duplicate
customer subscriber user member|data information details|decline deny refuse reject|declined failed refused rejected
delete erase remove|deliver dispatch send ship|delivery dispatch shipment|deposit bond|device phone tablet
discount rebate reduction offer|display screen monitor|document file paper|download export save|driver courier
email mail|employee staff worker|empty flat dead|exchange replace swap switch trade|expire lapse
expensive costly|extend prolong renew|fail malfunction|fast quick rapid|fine penalty|fix mend repair|forbid ban prohibit
forever permanently|free gratis|freeze hold interrupt pause suspend|friend mate buddy|garage workshop
gift present|glass window|guarantee warranty|hire lease rent|holiday vacation travel trip|human people person agent
hurt injured injury pain sore|husband partner spouse wife|invite invitation|internet network online wifi|job career vacancy
join enrol register signup|lamp light|late delay delayed|lend loan borrow|limit maximum|location place position
login signin|lose lost missing|loud noisy|maintain maintenance service|manual guide instructions
membership plan subscription|message notice notification|mistake error|mobile phone smartphone cellphone|month monthly
mum mother dad father parent|noise sound squeak squeal rattle|normal ordinary regular usual|number amount quantity|old used
owner holder|package parcel|password passcode|pay settle|payment transaction|photo photograph picture image
police|postcode zip|privacy private|process procedure|prohibited forbidden|proof evidence|pump inflate
receive get obtain|receipt bill|recommend refer suggest|refund reimburse reimbursement|relocate move|reminder remind
request ask|reset restore|return back|ride drive cycle|rule regulation policy|sad sorry unhappy|safe secure security
school university college student|settings preferences options|share lend|shop store|slow delayed|smartphone phone
steal theft thief stolen|street road|student pupil apprentice|study student|suitable fit|talk speak chat
tariff plan|tax vat|team group|terms conditions|test trial try|text message sms|theft robbery|throw discard
ticket pass|track trace follow|travel journey trip holiday|upgrade switch update|username login
voucher coupon|wait delay|warm heat hot|cold frost winter|website site page|weight heavy|worth value|year annual yearly`;

const related = new Map<string, Set<string>>();
for (const line of groups.split(/[|\n]/)) {
  const group = line.trim().split(/\s+/);
  for (const word of group) {
    const known = related.get(word) ?? new Set();
    for (const other of group) if (other !== word) known.add(other);
    related.set(word, known);
  }
}

/** Other words for this one, whatever its ending. */
export function synonymsOf(word: string): string[] {
  const bases = [
    word,
    word.replace(/(?<=..)(s|es|ed|d|ing)$/, ''),
    word.replace(/(es|ed|ing)$/, ''),
    word.replace(/(ed|ing)$/, 'e'),
    word.replace(/(ies|ied)$/, 'y'),
    word.replace(/(.)\1(ed|ing)$/, '$1'),
  ];
  return [...new Set(bases.flatMap((base) => [...(related.get(base) ?? [])]))].filter((other) => !bases.includes(other));
}
