#!/bin/sh
# Makes a model of the repository out of a Paddle inference folder: README.md beside this file tells how.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
usage="Usage: convert.sh <folder> --name <model> [--labels <file>] [--role recognize|detect] [--output <name>]
                  [--repository <dir>] [--data-dir <dir>] [--version <n>] [--max-batch-size <n>]
                  [--height <px>] [--width-ladder <px,...>]
<folder> has inference.json or inference.pdmodel, and inference.pdiparams."

# $1: what is wrong and what to do. 2 is for how it was called, 1 for what went wrong.
refuse() { echo "convert: $1" >&2; exit 1; }
misuse() { echo "convert: $1" >&2; echo "$usage" >&2; exit 2; }

folder='' name='' labels='' role='' output='' repository='' data_dir='' version='' batch='' height='' ladder=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) echo "$usage"; exit 0 ;;
    --*) [ $# -gt 1 ] || misuse "$1 expects a value" ;;
  esac
  case $1 in
    --name) name=$2 ;;
    --labels) labels=$2 ;;
    --role) role=$2 ;;
    --output) output=$2 ;;
    --repository) repository=$2 ;;
    --data-dir) data_dir=$2 ;;
    --version) version=$2 ;;
    --max-batch-size) batch=$2 ;;
    --height) height=$2 ;;
    --width-ladder) ladder=$2 ;;
    -*) misuse "there is no option $1" ;;
    *) [ -z "$folder" ] || misuse "expected one folder, got $folder and $1"; folder=$1; shift; continue ;;
  esac
  shift 2
done

[ -n "$folder" ] || misuse 'expected the folder of a Paddle inference model'
[ -n "$name" ] || misuse 'expected --name, what the model is to be called in the repository'
case $role in '' | recognize | detect) ;; *) misuse "expected --role recognize or detect, got $role" ;; esac
[ -d "$folder" ] || refuse "there is no folder $folder; name the one with inference.pdiparams."
[ -f "$folder/inference.json" ] || [ -f "$folder/inference.pdmodel" ] ||
  refuse "$folder has neither inference.json (Paddle 3) nor inference.pdmodel (Paddle 2); export the trained model for inference first."
[ -f "$folder/inference.pdiparams" ] || refuse "$folder has no inference.pdiparams, the weights; copy it beside the model."
[ -z "$labels" ] || [ -f "$labels" ] || refuse "there is no dictionary $labels; --labels expects a file with one character a line."
command -v npx >/dev/null || refuse 'npx is missing; install Node.js 20.19 or later and run npm install in the repository.'

venv=${CONVERT_VENV:-$root/.glyphmill/cache/convert}
python="$venv/bin/python"
if ! [ -x "$python" ] || ! "$python" "$here/installed.py" 2>/dev/null; then
  base=${PYTHON:-python3}
  command -v "$base" >/dev/null ||
    refuse "there is no $base; install Python 3.11, name another by PYTHON, or convert in the container (tools/convert/README.md)."
  "$base" -c 'import venv, ensurepip' 2>/dev/null ||
    refuse "$base has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv), or convert in the container."
  echo "convert: installing Paddle and paddle2onnx in $venv, once (about 1 GB)" >&2
  "$base" -m venv "$venv" ||
    refuse "no Python environment could be made in $venv; name a folder that can be written by CONVERT_VENV."
  "$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" ||
    refuse "pip could not install tools/convert/requirements.txt; it needs the network (or PIP_INDEX_URL, a mirror) and was tried with Python 3.11: PYTHON=python3.11."
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
# Paddle writes notes to stdout too, where only the answer of the import belongs.
"$python" "$here/convert.py" "$folder" "$work" ${labels:+--labels "$labels"} ${role:+--role "$role"} ${output:+--output "$output"} >&2

[ -n "$labels" ] || ! [ -f "$work/labels.txt" ] || labels=$work/labels.txt
# npx runs at the root of the repository, so that paths are made absolute where they were meant from here.
absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
[ -z "$labels" ] || labels=$(absolute "$labels")
[ -z "$repository" ] || repository=$(absolute "$repository")
data_dir=$(absolute "${data_dir:-${GLYPHMILL_DATA_DIR:-.glyphmill}}")
cd "$root"
npx --no-install glyphmill models import "$work/model.onnx" --name "$name" --data-dir "$data_dir" \
  ${labels:+--labels "$labels"} ${role:+--role "$role"} ${output:+--output "$output"} \
  ${repository:+--repository "$repository"} ${version:+--version "$version"} ${batch:+--max-batch-size "$batch"} \
  ${height:+--height "$height"} ${ladder:+--width-ladder "$ladder"}
