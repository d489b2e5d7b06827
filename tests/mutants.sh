#!/usr/bin/env bash
# Breaks the product in one place after another and tells whether a test notices.
#
#     tests/mutants.sh ROOM K/N        one shard, for example `tests/mutants.sh fold 0/16`; adds a row to the ledger
#     tests/mutants.sh ROOM --list     all mutants of a room
#
# ROOM is fold, codec, recovery or reconcile. Every Nth mutant is taken, beginning with the Kth, so that a shard is a
# sample of the whole room. The tests of the room's own crates go first; what they let live meets the tests that cross
# rooms. Only what is committed is mutated: in a clone below the target directory, so that nothing here changes meanwhile.
# Needs `cargo install cargo-mutants --locked`. Properties run few cases: PROPTEST_CASES (16).
set -euo pipefail
cd "$(dirname "$0")/.."
root="$PWD"

usage() {
    sed -n '2,10s/^# \{0,1\}//p' "$root/tests/mutants.sh" >&2
    exit 2
}
[ $# -eq 2 ] || usage
room="$1" shard="$2"

# Which files a room is, who tests it first, and who tests what is left.
first=() first_tests=() rest=()
case "$room" in
fold)
    files=('crates/projection/src/**/*.rs')
    rest=(--test-package aegis-tests --cargo-arg=--test=rules --cargo-arg=--test=stories) ;;
codec)
    files=(crates/model/src/{wire,event,fixed,text}.rs crates/journal/src/{layout,frame,segment,checkpoint}.rs)
    first_tests=(--skip every_single_bit_flip --skip every_truncation)
    rest=(--test-package aegis-journal --test-package aegis-tests --cargo-arg=--lib --cargo-arg=--test=bytes) ;;
recovery)
    files=(crates/journal/src/{scan,survey,opening,decide,writer,roots,verify,beside,reader}.rs
        'crates/journal/src/survey/*.rs')
    first_tests=(--skip every_single_bit_flip --skip every_truncation)
    rest=(--test-package aegis-journal --test-package aegis-tests --cargo-arg=--lib --cargo-arg=--test=bytes) ;;
reconcile)
    files=(crates/engine/src/{reconcile,report,snapshot,settle,resume}.rs)
    first=(--test-package aegis-engine --test-package aegis-tests
        --cargo-arg=--lib --cargo-arg=--test=rules --cargo-arg=--test=stories) ;;
*) usage ;;
esac
examined=(--workspace)
for file in "${files[@]}"; do examined+=(--file "$file"); done

export PROPTEST_CASES="${PROPTEST_CASES:-16}"
place="$(realpath -m "${CARGO_TARGET_DIR:-target}/mutants")"
tree="$place/tree"
export CARGO_TARGET_DIR="$place/build"
mkdir -p "$place"
[ -d "$tree" ] || git clone -q --no-checkout "$root" "$tree"
git -C "$tree" fetch -q "$root" HEAD
git -C "$tree" checkout -q --force --detach FETCH_HEAD
git diff --quiet HEAD || echo "what is not committed is not mutated" >&2
cd "$tree"

if [ "$shard" = --list ]; then
    exec cargo mutants --list "${examined[@]}"
fi

# Where the results of a round lie.
out() { echo "$place/$room.$1/mutants.out"; }
# How many of a kind a round had.
count() { if [ -f "$(out "$1")/$2.txt" ]; then wc -l <"$(out "$1")/$2.txt"; else echo 0; fi; }
# One round. 2: some live; 3: some did not end in time. Anything else is no result.
round() {
    mkdir -p "$place/$room.$1"
    cargo mutants --in-place --no-shuffle --output "$place/$room.$1" "${examined[@]}" "${@:2}" ||
        [ $? -eq 2 ] || [ $? -eq 3 ]
}

began=$(date +%s)
rm -rf "$place/$room.first" "$place/$room.rest"
round first --shard "$shard" --sharding round-robin ${first[@]+"${first[@]}"} \
    ${first_tests[@]+-- -- "${first_tests[@]}"}
caught=$(count first caught) missed=$(count first missed)
unviable=$(count first unviable) timeouts=$(count first timeout)
survivors="$(out first)/missed.txt"
if [ "$missed" -gt 0 ] && [ ${#rest[@]} -gt 0 ]; then
    names=()
    while IFS= read -r name; do
        names+=(--re "^$(sed 's/[][\.*^$+?(){}|]/\\&/g' <<<"$name")\$")
    done <"$survivors"
    round rest "${names[@]}" "${rest[@]}"
    survivors="$(out rest)/missed.txt"
    caught=$((caught + $(count rest caught))) missed=$(count rest missed)
    unviable=$((unviable + $(count rest unviable))) timeouts=$((timeouts + $(count rest timeout)))
fi

minutes=$((($(date +%s) - began + 59) / 60))
row="| $(git rev-parse --short HEAD) | $room $shard | $((caught + missed + unviable + timeouts)) |"
row="$row $caught | $missed | $unviable | $timeouts | $minutes |"
echo "$row" | tee -a "$root/fixtures/soak-mutants.md"
cat "$survivors"
