# What is recorded: typed and run in a terminal, with nothing that waits longer than somebody would look at.
set -u
say() {
  printf '\033[1;32m$\033[0m '
  for ((i = 0; i < ${#1}; i++)); do
    printf '%s' "${1:i:1}"
    sleep 0.03
  done
  sleep 0.4
  printf '\n'
}
run() {
  say "$1"
  eval "$1"
  sleep "${2:-1}"
}
answers() { curl -s "$OPENFAAS_URL/function/hello" -H 'Content-Type: text/plain' -d Ada | grep -q "$1"; }
until_answers() { until answers "$1"; do sleep 0.1; done; sleep 0.6; }

run 'faaslane new hello --lang node' 1.5
run 'cat hello/handler.js' 2
say 'faaslane up --watch &'
faaslane up --watch &
watcher=$!
until_answers path
sleep 1
run 'echo Ada | faaslane invoke hello; echo' 1.5
say "echo 'module.exports = async ({ body }) => \`Hello, \${body.trim()}!\`;' > hello/handler.js"
echo 'module.exports = async ({ body }) => `Hello, ${body.trim()}!`;' >hello/handler.js
until_answers 'Hello, Ada!'
run 'echo Ada | faaslane invoke hello; echo' 1.5
run 'faaslane list' 2
kill "$watcher"
