import { join } from 'node:path';
import type { Comparison, ImportNote } from '@glyphmill/inference/import-note';
import { knownDictionary } from '@glyphmill/inference/model-assets';
import type { ModelConfig } from '@glyphmill/inference/model-config';
import type { Imported } from '@glyphmill/inference/model-import';
import type { RecognizeSettings } from '@glyphmill/inference/model-parameters';
import type { OnnxModelInfo } from '@glyphmill/inference/onnx-inspect';
import type { ModelFacts, ModelSummary } from './models-facts.ts';

const digestPrefix = 12;
const operatorsShown = 8;

/** A table, one model a line; what is wrong with a model stands below it. */
export function renderList(models: readonly ModelSummary[]): string {
  if (models.length === 0) return 'no models; glyphmill models import --defaults adds the default ones';
  const head = ['model', 'role', 'versions', 'instances on', 'max_batch_size', 'sha256'];
  const rows = models.map(({ name, role, versions, served, kind, maxBatchSize, sha256 }) => [
    name,
    role ?? '?',
    versions.map((version) => (served.includes(version) ? `${version}*` : `${version}`)).join(' ') || 'none',
    kind ?? '?',
    maxBatchSize === null ? '?' : String(maxBatchSize),
    sha256?.slice(0, digestPrefix) ?? '?',
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  const mistakes = models.flatMap(({ mistake }) => mistake ?? []);
  return [line(head), ...rows.map(line), '* served', ...mistakes].join('\n');
}

/** Config, files, graph and import of one model in plain words. */
export function renderModel({ config, files, graphs, versions, served }: ModelFacts): string {
  return [
    `${config.name}: ${roleText(config)}${config.inferred.role ? ' (told from its outputs: config.pbtxt has no parameter role)' : ''}`,
    `versions: ${versions.join(', ')}; served: ${served.join(', ')} (policy: ${policyText(config)})`,
    '',
    'config.pbtxt says',
    ...configLines(config).map((text) => `  ${text}`),
    '',
    'files',
    ...files.map(({ file, bytes }) => `  ${file}  ${bytes.toLocaleString('en')} bytes`),
    ...graphs.flatMap(({ version, sha256, graph, imported }) => [
      '',
      `version ${version}, sha256 ${sha256}`,
      ...graphLines(graph).map((text) => `  ${text}`),
      ...(imported ? importLines(imported) : ['it was put here by hand: no import.json']).map(
        (text) => `  ${text}`,
      ),
    ]),
  ].join('\n');
}

/** What an import did. */
export function renderImport({ config, version, note }: Imported, repository: string): string {
  return [
    `${config.name} version ${version} is in ${join(repository, config.name)}: it ${roleText(config)}`,
    ...configLines(config).map((text) => `  ${text}`),
    ...importLines(note).map((text) => `  ${text}`),
  ].join('\n');
}

function roleText({ settings }: ModelConfig): string {
  return settings.role === 'detect' ? 'finds lines on pages' : 'reads lines';
}

function configLines(config: ModelConfig): string[] {
  const { input, output, indices, batching, maxBatchSize, settings } = config;
  return [
    `input ${input.name} ${dimsText(input.dims)}; output ${[...(indices ? [indices] : []), output].map(({ name, dims }) => `${name} ${dimsText(dims)}`).join(' and ')}`,
    `micro-batches of at most ${Math.max(1, maxBatchSize)}; ${batchingText(batching)}`,
    `instances: ${instancesText(config)}`,
    ...(settings.role === 'detect'
      ? [
          `pages of at most ${settings.maxSide} pixels a side; text from probability ${settings.threshold} on, regions from ${settings.boxThreshold} on`,
        ]
      : readingLines(settings)),
    ...dictionaryLines(config),
  ];
}

function readingLines(settings: RecognizeSettings): string[] {
  const { height, widthLadder, resize, decoding, characterThreshold, restoresSpaces } = settings;
  const widths = widthLadder.join(', ');
  const size =
    resize === 'stretch'
      ? `lines resized to ${widths} × ${height} pixels`
      : `lines ${height} pixels high, padded to ${widths}`;
  const unit = decoding === 'ctc' ? 'repeats collapsed' : 'each step a character';
  const least = characterThreshold > 0 ? `, characters from confidence ${characterThreshold} on` : '';
  return [
    `${size}; ${settings.colorOrder}, (pixel ÷ 255 − ${settings.mean}) ÷ ${settings.std}`,
    `decoding ${decoding}: ${unit}${least}${restoresSpaces ? ', spaces restored where the paper shows them' : ''}`,
  ];
}

function dictionaryLines({ output, inferred }: ModelConfig): string[] {
  const { file, classes } = knownDictionary;
  if (inferred.labels)
    return [`dictionary ${file}, known by the ${classes} classes: config.pbtxt names no label_filename`];
  return output.labelFilename === undefined ? [] : [`dictionary ${output.labelFilename}`];
}

function batchingText({
  preferredBatchSizes,
  maxQueueDelayUs,
  priorityLevels,
}: ModelConfig['batching']): string {
  const preferred =
    preferredBatchSizes.length > 0 ? `, preferably of ${preferredBatchSizes.join(' or ')}` : '';
  const levels = priorityLevels > 0 ? `, ${priorityLevels} levels of priority` : '';
  const delay =
    maxQueueDelayUs > 0 ? `an item waits ${maxQueueDelayUs} µs at most for others` : 'no queue delay';
  return `${delay}${preferred}${levels}`;
}

function instancesText({ instanceGroup: { kind, count, gpus } }: ModelConfig): string {
  const where = { auto: 'CUDA where it works, else the CPU', gpu: 'CUDA only', cpu: 'the CPU' }[kind];
  const on = gpus.length > 0 ? `, GPUs ${gpus.join(', ')}` : '';
  return `${count ?? 'as many as the cores allow'}, on ${where}${on}`;
}

function policyText({ versionPolicy }: ModelConfig): string {
  switch (versionPolicy.kind) {
    case 'all':
      return 'all';
    case 'latest':
      return `the latest ${versionPolicy.count}`;
    case 'specific':
      return `only ${versionPolicy.versions.join(', ')}`;
  }
}

function graphLines({ inputs, outputs, operators, opset }: OnnxModelInfo): string[] {
  const values = (list: OnnxModelInfo['inputs']) =>
    list.map(({ name, type, dims }) => `${name} ${type} ${dimsText(dims)}`).join('; ');
  const shown = operators.slice(0, operatorsShown).map(({ type, count }) => `${count} ${type}`);
  const nodes = operators.reduce((sum, { count }) => sum + count, 0);
  return [
    `graph: inputs ${values(inputs)}; outputs ${values(outputs)}`,
    `${nodes} operations of opset ${opset}: ${shown.join(', ')}${operators.length > operatorsShown ? ', …' : ''}`,
  ];
}

function importLines({ source, changes, compared, notes = [] }: ImportNote): string[] {
  const of = source.package === undefined ? '' : ` of ${source.package} ${source.version}`;
  const done = changes.map(({ rule, count }) => `${count} × ${rule}`).join(', ');
  return [
    `imported from ${source.file}${of}, sha256 ${source.sha256}`,
    `changes of the graph: ${done || 'none'}`,
    ...(compared ? [comparisonText(compared)] : []),
    ...notes,
  ];
}

/** Rounding alone is what the runtime's own optimisations of the graph as it was make of its outputs. */
export function comparisonText({ outputs, largest, in999Of1000, noiseFloor }: Comparison): string {
  const written = (difference: number) => difference.toExponential(1);
  return `${outputs.toLocaleString('en')} outputs on noise and strokes differ from the original's by ${written(largest)} at most, 999 of 1,000 by ${written(in999Of1000)}; rounding alone moves the original's by ${written(noiseFloor.largest)} and ${written(noiseFloor.in999Of1000)}`;
}

function dimsText(dims: readonly (number | string)[]): string {
  return `[${dims.join(', ')}]`;
}
