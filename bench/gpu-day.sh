#!/usr/bin/env bash
# One call for a GPU that is lent for minutes: are the kernels right, then how fast is everything; a short table and the goals last.
#
#   bench/gpu-day.sh OUT [kernels] [ceilings] [gemm] [model] [growth] [peers] [pytorch] [tune]      without steps: all; each has a time limit
#
# OUT gets a JSON record and a log a step. A step that fails or runs out of time is told of, and the others go on. Where one call may not take
# so long, the steps can come in several with the same OUT: table and goals are always of all that lies there.
# Needs `npm ci && npm run build`, or dist/ and the packages beside it (BENCH, for instance "node elsewhere/dist/bench.js", says where),
# and no network. BUDGET: seconds a row (1). LIMIT: seconds a command (300; peers 150 and 200). ALLOW_SOFTWARE=1 tries the script itself without a GPU, on
# small models.
set -uo pipefail
out=${1:?usage: bench/gpu-day.sh OUT [step...]}
shift
steps=${*:-kernels ceilings gemm model growth peers pytorch tune}
bench=${BENCH:-node dist/bench.js}
budget=(--budget "${BUDGET:-1}" --quiet)
mkdir -p "$out"
export MLA_LP_ADAPTER=${MLA_LP_ADAPTER:-hardware}
export MLA_LP_TUNED=off
if [ "${ALLOW_SOFTWARE:-}" = 1 ]; then
  export MLA_LP_ADAPTER=software
  model=(--model tiny) shape=290x256x512 batches=(1 2) folders=(10 30) pytorch=(--model vitb32 --size 64)
else
  model=(--model vitl14) shape=4640x1024x4096 batches=(1 16) folders=(200 2000) pytorch=()
fi
largest=${batches[-1]} joined=$(IFS=,; echo "${batches[*]}")

# step NAME COMMAND...: its text into OUT/NAME.log
step() {
  local name=$1 status
  shift
  timeout --kill-after=10 "${LIMIT:-300}" "$@" >"$out/$name.log" 2>&1
  status=$?
  case $status in
    0) echo "$name: done" ;;
    124) echo "$name: out of time; see $out/$name.log" ;;
    *)
      echo "$name: exit code $status"
      tail -n 5 "$out/$name.log"
      ;;
  esac
}
# measured NAME ARGUMENTS...: a benchmark with its record
measured() {
  local name=$1
  shift
  # shellcheck disable=SC2086
  step "$name" $bench "$@" "${budget[@]}" --json "$out/$name.json"
}

for one in $steps; do
  case $one in
    # The exit code is 1 when a kernel was wrong.
    kernels) measured kernels kernels --variants all ;;
    ceilings) measured ceilings ceiling ;;
    gemm)
      for dtype in f32 f16; do measured "gemm-$dtype" kernel gemm --shape $shape --dtype $dtype --variants all; done
      ;;
    model)
      measured block block
      for batch in "${batches[@]}"; do
        measured "image-$batch" image "${model[@]}" --batch "$batch"
        measured "train-$batch" train "${model[@]}" --batch "$batch"
      done
      ;;
    tune)
      # shellcheck disable=SC2086
      for dtype in f32 f16; do
        step "tune-$dtype" $bench tune "${model[@]}" --precision $dtype --batch "$joined" --budget 120 --quiet \
          --to "$out/tuned-$dtype.json"
        MLA_LP_TUNED=$out/tuned-$dtype.json measured "image-tuned-$dtype" image "${model[@]}" --precision $dtype --batch "$largest"
      done
      ;;
    growth)
      measured growth growth "${model[@]}"
      measured load load "${model[@]}"
      for images in "${folders[@]}"; do
        measured "folder-$images" folder "${model[@]}" --precision f16 --batch "$largest" --images "$images"
      done
      ;;
    peers)
      # A record each: what is out of time takes no other with it. First what the goals are of.
      for ((i = ${#batches[@]} - 1; i >= 0; i--)); do
        batch=${batches[i]}
        for dtype in f32 f16; do
          LIMIT=${LIMIT:-150} measured "peers-tower-$dtype-$batch" peers "${model[@]}" --only tower --precision $dtype --batch "$batch" --limit 100
        done
        LIMIT=${LIMIT:-200} measured "peers-$batch" peers "${model[@]}" --only gemm,block --batch "$batch"
      done
      ;;
    pytorch)
      # shellcheck disable=SC2016
      step pytorch bash -c 'python3 bench/model/pytorch_train.py --batch "$2" --dtype f32 f16 "${@:3}" >"$1"' \
        _ "$out/pytorch.json" "$largest" "${pytorch[@]}"
      # shellcheck disable=SC2016
      step pytorch-tower bash -c 'python3 bench/model/pytorch_tower.py --batch $2 --dtype f32 f16 "${@:3}" >"$1"' \
        _ "$out/pytorch-tower.json" "${batches[*]}" "${pytorch[@]}"
      ;;
    *) echo "There is no step $one." ;;
  esac
done

echo
for file in "$out"/*.json; do
  case $file in "$out"/tuned-*) continue ;; esac
  node -e '
    const { rows = [], device, failed = [], ratios = [] } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
    const name = require("path").basename(process.argv[1], ".json");
    console.log(`${name}: ${device?.name ?? "no device named"}${failed.length ? `; WRONG: ${failed.length}` : ""}`);
    for (const { case: what, engine, variant = "", dtype, medianMs, share } of rows)
      console.log(`  ${[engine, what, variant, dtype].join(" | ")}: ${medianMs.toPrecision(4)} ms${share ? `, ${(100 * share).toFixed(1)} % of the ceilings` : ""}`);
    for (const one of ratios) console.log(`  ${JSON.stringify(one)}`);
  ' "$file" 2>/dev/null || echo "$file: no record"
done | tee "$out/summary.txt" | tail -n 150
echo
$bench goals "$out" --shape $shape --batch "$largest" | tee "$out/goals.txt"
