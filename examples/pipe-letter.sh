#!/bin/sh
# Gives a letter to Parley: any mail server that can pipe a letter to a program can use it.
#
#   pipe-letter.sh https://parley.example.com/email/letter_… < letter
#
# The address may also come from the file PARLEY_LETTER_URL_FILE, so that it is in no list of processes. Exits with 0 when the letter is
# stored, with 75 (EX_TEMPFAIL) when it is to be tried again later, and with 69 (EX_UNAVAILABLE) when Parley never takes it: then the
# mail server tells the sender.
set -u

url=${1:-}
if [ -z "$url" ] && [ -n "${PARLEY_LETTER_URL_FILE:-}" ]; then url=$(cat "$PARLEY_LETTER_URL_FILE") || exit 75; fi
if [ -z "$url" ]; then echo "pipe-letter.sh: name the address of the inbox" >&2; exit 75; fi

# The address is handed over on a descriptor of its own.
status=$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 90 \
  --header 'Content-Type: message/rfc822' --header 'Expect:' --data-binary @- --config /dev/fd/3 3<<CONFIG
url = "$url"
CONFIG
) || status=000

case $status in
  2??) exit 0 ;;
  400 | 413 | 415) echo "Parley does not take this letter ($status)" >&2; exit 69 ;;
  *) echo "Parley cannot be reached or cannot take letters now ($status)" >&2; exit 75 ;;
esac
