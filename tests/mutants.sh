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

# Which files a room is; what of its own crates' tests is left for later; and which tests what is left then meets.
slow=()
case "$room" in
fold)
    files=('crates/projection/src/**/*.rs')
    rest=(-p aegis-tests --test rules --test stories) ;;
codec)
    files=(crates/model/src/{wire,event,fixed,text}.rs crates/journal/src/{layout,frame,segment,checkpoint}.rs)
    slow=(every_ compressing packing:: storage::)
    rest=(-p aegis-journal -p aegis-tests --lib --test bytes) ;;
recovery)
    files=(crates/journal/src/{scan,survey,opening,decide,writer,roots,verify,beside,reader}.rs
        'crates/journal/src/survey/*.rs')
    slow=(every_ compressing packing:: storage::)
    rest=(-p aegis-journal -p aegis-tests --lib --test bytes) ;;
reconcile)
    files=(crates/engine/src/{reconcile,report,snapshot,settle,resume}.rs)
    rest=(-p aegis-tests --test rules --test stories) ;;
*) usage ;;
esac
examined=(--workspace)
for file in "${files[@]}"; do examined+=(--file "$file"); done

# The same cases whenever a shard is run; what broke need not be made small, nor be remembered for the next mutant.
export PROPTEST_CASES="${PROPTEST_CASES:-16}" PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-1}"
export PROPTEST_MAX_SHRINK_ITERS=0 PROPTEST_DISABLE_FAILURE_PERSISTENCE=1
place="$(realpath -m "${CARGO_TARGET_DIR:-target}/mutants")"
tree="$place/tree"
export CARGO_TARGET_DIR="$place/build"
mkdir -p "$place"
[ -d "$tree" ] || git clone -q --no-checkout "$root" "$tree"
git -C "$tree" fetch -q "$root" HEAD
git -C "$tree" checkout -q --force --detach FETCH_HEAD
git -C "$tree" clean -q -d --force
git diff --quiet HEAD || echo "what is not committed is not mutated" >&2
cd "$tree"

if [ "$shard" = --list ]; then
    exec cargo mutants --list "${examined[@]}"
fi

began=$(date +%s)
results="$place/$room/mutants.out"
rm -rf "$place/$room"
mkdir -p "$place/$room"
own=()
[ ${#slow[@]} -eq 0 ] || own=(-- -- "${slow[@]/#/--skip=}")
status=0
cargo mutants --in-place --no-shuffle --output "$place/$room" "${examined[@]}" --shard "$shard" --sharding round-robin \
    ${own[@]+"${own[@]}"} || status=$?
# 2: some live; 3: some did not end in time. Anything else is no result.
case "$status" in 0 | 2 | 3) ;; *) exit "$status" ;; esac

# What lives meets the tests that cross rooms: unmutated first, or a test that fails anyway would count as a catch.
crossing() { timeout "$1" cargo test -q --locked --profile mutants "${rest[@]}" >"$place/$room/rest.log" 2>&1; }
kind() { wc -l <"$results/$1.txt"; }
caught=$(kind caught) timeouts=$(kind timeout) missed=0
: >"$place/$room/survivors.txt"
if [ -s "$results/missed.txt" ]; then
    crossing 1200 || { echo "the unmutated tests fail: $place/$room/rest.log" >&2; exit 1; }
fi
while IFS=$'\t' read -r diff name; do
    # Its second line tells the mutant's name instead of the file's.
    sed '1{p;s/^---/+++/};2d' "$results/$diff" | git apply -p0
    status=0
    crossing 240 || status=$?
    git checkout -q --force
    case "$status" in
    0) missed=$((missed + 1)); echo "$name" | tee -a "$place/$room/survivors.txt" ;;
    124) timeouts=$((timeouts + 1)) ;;
    *) caught=$((caught + 1)) ;;
    esac
done < <(python3 -c 'import json, sys
for outcome in json.load(open(sys.argv[1]))["outcomes"]:
    if outcome["summary"] == "MissedMutant":
        print(outcome["diff_path"], outcome["scenario"]["Mutant"]["name"], sep="\t")' "$results/outcomes.json")

unviable=$(kind unviable) minutes=$((($(date +%s) - began + 59) / 60))
row="| $(git rev-parse --short HEAD) | $room $shard | $((caught + missed + unviable + timeouts)) |"
echo "$row $caught | $missed | $unviable | $timeouts | $minutes |" | tee -a "$root/fixtures/soak-mutants.md"
