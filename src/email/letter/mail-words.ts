/** The words that mail programs put around what they quote, in the languages they come in. All compared in lower case. */

/** "wrote", as it ends, or stands in, the line above a quote. */
export const WROTE = [
  'wrote', 'writes', 'schrieb', 'geschrieben', 'a écrit', 'écrit', 'escribió', 'escribio', 'ha escrito', 'escreveu', 'ha scritto',
  'scrisse', 'schreef', 'geschreven', 'skrev', 'skreiv', 'kirjoitti', 'napisał', 'napisała', 'napisał(a)', 'pisze', 'napsal',
  'napsal(a)', 'napísal', 'napísal(a)', 'ezt írta', 'írta', 'a scris', 'написал', 'написала', 'написал(а)', 'пишет', 'писал',
  'написав', 'написав(ла)', 'пише', 'написа', 'yazdı', 'şunu yazdı', 'έγραψε', 'כתב/ה', 'כתב', 'كتب', 'كتبت', 'كتب/كتبت', 'بواسطة',
  'نوشت', '写道', '寫道', '写到', '님이 작성', '작성', '님이 씀', 'のメール', 'のメッセージ', 'さんは書きました', 'が書きました', 'wrote (a)',
  'đã viết', 'menulis', 'เขียนว่า', 'napisao/la', 'je napisao', 'je napisala', 'ha escrit', 'idatzi du', 'rašė', 'rakstīja', 'kirjutas',
] as const;

/** How a line above a quote begins, where it begins with a word. */
export const ON = [
  'on', 'am', 'le', 'el', 'il', 'in data', 'em', 'no dia', 'op', 'den', 'd.', 'på', 'w dniu', 'dnia', 'dne', 'dňa', 'в', 'у', 'на',
  'at', '在', '於', '于', 'în', 'la', 'vào', 'pada', 'στις', 'ב', 'בתאריך', 'في', 'بتاريخ', 'zo', 'i', 'il giorno', 'quoting',
] as const;

/** The labels of the block of headers above a letter that is quoted or forwarded. */
const LABELS = {
  from: [
    'from', 'von', 'de', 'da', 'van', 'fra', 'från', 'od', 'lähettäjä', 'feladó', 'expeditor', 'expeditorul', 'de la', 'от', 'отправитель',
    'від', 'від кого', 'kimden', 'gönderen', 'από', 'מאת', 'من', 'از', '发件人', '寄件者', '寄件人', '差出人', '送信元', '送信者', '보낸 사람',
    '보낸사람', 'từ', 'dari', 'mittente', 'nadawca', 'šalje', 'pošiljatelj', 'saatja', 'จาก',
  ],
  date: [
    'sent', 'date', 'gesendet', 'datum', 'envoyé', 'envoyé le', 'enviado', 'enviado el', 'enviado em', 'enviada em', 'enviada', 'fecha',
    'data', 'inviato', 'data invio', 'verzonden', 'sendt', 'dato', 'skickat', 'wysłano', 'data wysłania', 'odesláno', 'odoslané', 'dátum',
    'päivämäärä', 'lähetetty', 'elküldve', 'trimis', 'дата', 'отправлено', 'дата отправки', 'надіслано', 'tarih', 'gönderilme', 'gönderildi',
    'ημερομηνία', 'στάλθηκε', 'תאריך', 'נשלח', 'التاريخ', 'تاريخ', 'تم الإرسال', 'تاريخ الإرسال', 'أرسلت', '发送时间', '日期', '发送日期',
    '傳送日期', '寄件日期', '送信日時', '送信日', '日時', '日付', '보낸 날짜', '날짜', '보낸날짜', 'ngày', 'đã gửi', 'tanggal', 'dikirim', 'ส่ง',
  ],
  to: [
    'to', 'an', 'à', 'a', 'para', 'pour', 'aan', 'til', 'till', 'do', 'komu', 'pre', 'vastaanottaja', 'címzett', 'către', 'destinatarul',
    'кому', 'получатель', 'kime', 'alıcı', 'προς', 'אל', 'إلى', 'به', '收件人', '收件者', '宛先', '送信先', '받는 사람', '받는사람', 'đến',
    'kepada', 'destinatario', 'adresat', 'prima', 'ถึง',
  ],
  cc: [
    'cc', 'kopie', 'kopia', 'kopi', 'kopio', 'copie à', 'копия', 'копія', 'dw', 'másolatot kap', 'másolat', 'bilgi', 'kópia', '抄送', '副本',
    '참조', 'نسخة', 'bcc',
  ],
  subject: [
    'subject', 'betreff', 'objet', 'sujet', 'asunto', 'assunto', 'oggetto', 'onderwerp', 'emne', 'ämne', 'temat', 'předmět', 'predmet', 'aihe',
    'tárgy', 'subiect', 'subiectul', 'тема', 'konu', 'θέμα', 'נושא', 'الموضوع', 'موضوع', '主题', '主題', '主旨', '件名', '제목', 'chủ đề',
    'subjek', 'perihal', 'naslov', 'เรื่อง',
  ],
} as const;

export type HeaderLabel = keyof typeof LABELS;

export const HEADER_LABELS: ReadonlyMap<string, HeaderLabel> = new Map(
  (Object.keys(LABELS) as HeaderLabel[]).flatMap((kind) => LABELS[kind].map((word) => [word, kind] as const)),
);

/** What stands between dashes above a letter that is quoted whole. */
export const ORIGINAL_MESSAGE = [
  'original message', 'original appointment', 'reply message', 'ursprüngliche nachricht', 'originalnachricht', 'originale nachricht',
  "message d'origine", 'message original', 'mensaje original', 'mensagem original', 'messaggio originale', 'oorspronkelijk bericht',
  'origineel bericht', 'oprindelig meddelelse', 'oprindelig besked', 'opprinnelig melding', 'ursprungligt meddelande', 'originalmeddelande',
  'alkuperäinen viesti', 'wiadomość oryginalna', 'oryginalna wiadomość', 'původní zpráva', 'pôvodná správa', 'eredeti üzenet',
  'mesaj original', 'исходное сообщение', 'пересылаемое исходное сообщение', 'оригинальное сообщение', 'вихідне повідомлення',
  'orijinal mesaj', 'özgün ileti', 'αρχικό μήνυμα', 'הודעה מקורית', 'الرسالة الأصلية', 'رسالة أصلية', '原始邮件', '原邮件', '原始郵件',
  '原始訊息', '元のメッセージ', '元のメール', 'original メッセージ', '원본 메시지', '원본 메일', '원본메일', 'tin nhắn gốc', 'pesan asli',
] as const;

/** What stands between dashes, or above, a letter that is forwarded. */
export const FORWARDED_MESSAGE = [
  'forwarded message', 'forwarded letter', 'begin forwarded message', 'weitergeleitete nachricht', 'anfang der weitergeleiteten nachricht',
  'weitergeleitete e-mail', 'message transféré', 'message transmis', 'début du message réexpédié', 'début du message transféré',
  'mensaje reenviado', 'inicio del mensaje reenviado', 'mensagem encaminhada', 'mensagem reencaminhada', 'início da mensagem encaminhada',
  'início da mensagem reencaminhada', 'messaggio inoltrato', 'inizio messaggio inoltrato', 'doorgestuurd bericht',
  'begin doorgestuurd bericht', 'videresendt meddelelse', 'videresendt besked', 'start på videresendt besked', 'videresendt melding',
  'vidarebefordrat meddelande', 'vidarebefordrat mejl', 'edelleenlähetetty viesti', 'välitetty viesti', 'välitetty viesti alkaa',
  'przekazana wiadomość', 'treść przekazanej wiadomości', 'początek przekazywanej wiadomości', 'přeposlaná zpráva',
  'začátek přeposílané zprávy', 'preposlaná správa', 'začiatok preposlanej správy', 'továbbított üzenet', 'továbbított levél kezdete',
  'mesaj redirecționat', 'începe mesajul redirecționat', 'пересылаемое сообщение', 'перенаправленное сообщение',
  'пересланное сообщение', 'начало переадресованного сообщения', 'перенаправлене повідомлення', 'переслане повідомлення',
  'початок листа, що пересилається', 'iletilmiş mesaj', 'iletilen ileti', 'ileti başlangıcı', 'προωθημένο μήνυμα', 'הודעה שהועברה',
  'رسالة مُعاد توجيهها', 'رسالة معاد توجيهها', 'بداية الرسالة المعاد توجيهها', '转发的邮件', '转发邮件信息', '轉寄郵件', '轉寄的郵件',
  '転送メッセージ', '転送されたメッセージ', 'メッセージを転送', '전달된 메시지', '전달된 메일', 'tin nhắn chuyển tiếp', 'pesan terusan',
  'forwarded message from', 'end forwarded message',
] as const;

/** How the subject of a forwarded letter begins, before its colon. */
export const FORWARD_PREFIXES = [
  'fw', 'fwd', 'wg', 'tr', 'rv', 'enc', 'i', 'vs', 'vb', 'vl', 'pd', 'doorst', 'videresend', 'ilt', 'i̇lt', 'továbbítás', 'redir', 'пер',
  'пересл', '转发', '轉寄', '転送', '전달', 'إعادة توجيه', 'הועבר', 'trans', 'chuyển tiếp',
] as const;

/** How the subject of an answer begins, before its colon. */
export const REPLY_PREFIXES = [
  're', 'aw', 'antw', 'sv', 'ré', 'rép', 'res', 'resp', 'r', 'rif', 'odp', 'vá', 'vs', 'отв', 'на', 'ynt', 'σχετ', 'תגובה', 'رد', '回复',
  '回覆', '答复', '返信', '답장', '회신', 'trả lời', 'bls', 'ha', 'atb', 'ats',
] as const;

/**
 * What telephones, tablets and free mail services put below a letter. Each is held against a whole line of at most 120 characters:
 * no pattern here may cost more than its length.
 */
export const DEVICE_SIGNATURES: readonly RegExp[] = [
  /^sent (?:from|via|with|by) (?:my |the )?(?:[\w.\-+\[\]]+ ){0,5}(?:iphone|ipad|ipod|mac|android|galaxy|samsung|huawei|xiaomi|pixel|blackberry|phone|mobile|smartphone|tablet|device|outlook|mail|yahoo|gmail|aol|windows|app|spark|superhuman|proton)\b[^.!?]*(?:secure email)?\.?$/,
  /^(?:get|download) .{0,10}outlook for /,
  /^(?:von meinem|von meiner) .{1,40} gesendet\.?$/,
  /^(?:gesendet|diese nachricht wurde) (?:von|mit|über|aus) [^.!?]{1,60}(?:gesendet)?\.?$/,
  /^(?:holen sie sich|laden sie|outlook) .{0,10}(?:outlook )?für (?:ios|android|mac|windows)/,
  /^envoyé (?:de|depuis|à partir de|avec|via) [^.!?]{1,60}\.?$/,
  /^(?:télécharge[rz]|obtenir|obtenez) .{0,5}outlook pour /,
  /^enviado (?:desde|do|da|de|con|com|por|a partir do) (?:mi |meu |minha |o |el |la )?[^.!?]{1,50}\.?$/,
  /^(?:obtener|obtenga|consigue|descargar|obter|obtenha|baixar|baixe o) .{0,3}outlook para /,
  /^inviato (?:da|dal|dalla|con) [^.!?]{1,50}\.?$/,
  /^(?:scarica|ottieni) outlook per /,
  /^(?:verzonden|verstuurd) (?:vanaf|vanuit|met|via) [^.!?]{1,50}\.?$/,
  /^(?:outlook voor|download outlook voor|outlook downloaden voor) /,
  /^(?:sendt fra|skickat från|skickades från|lähetetty|wysłano z|wysłane z|odesláno z|odoslané z|trimis de pe|elküldve) [^.!?]{1,50}\.?$/,
  /^(?:hämta|hent|skaffa|pobierz|nabavite|získejte) outlook (?:för|til|for|dla|pro) /,
  /^отправлено (?:с|из|от|через) [^!?]{1,60}$/,
  /^(?:надіслано|відправлено) (?:з|із|від) [^!?]{1,60}$/,
  /^(?:загрузить|скачать|получить|скачайте|получите) outlook (?:для|на) /,
  /^.{1,40}(?:'dan|'den|’dan|’den|'imden|’imden|imden|ımdan) gönderildi\.?$/,
  /^(?:私の)?.{1,25}から送信(?:されました)?。?$/,
  /^(?:outlook for|.{1,15}用 outlook|.{0,10}outlook for) (?:ios|android|mac)\S*を入手/,
  /^(?:发自|發自|从|從)我?的?.{1,25}(?:发送|傳送|寄出)?。?$/,
  /^(?:获取|取得|下载|下載)適?用?.{0,8}outlook/,
  /^(?:나의 |내 )?.{1,20}에서 보냄\.?$/,
  /^(?:ios|android)용 outlook/,
  /^(?:أُرسلت|أرسلت|تم الإرسال|أُرسل|مرسل|أرسل) من [^.!?]{1,40}\.?$/,
  /^(?:احصل على|الحصول على|تنزيل) outlook /,
  /^נשלח מ.{1,30}$/,
  /^đã gửi từ .{1,30}$/,
  /^dikirim dari .{1,30}$/,
  /^στάλθηκε από .{1,30}$/,
];
