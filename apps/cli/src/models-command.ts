import { basename, join } from 'node:path';
import { importDefaultModels } from '@glyphmill/inference/default-models';
import { ModelConfigError } from '@glyphmill/inference/model-config-error';
import { importModel } from '@glyphmill/inference/model-import';
import { type ModelCheck, verifyModels } from '@glyphmill/inference/model-verify';
import { modelNames } from '@glyphmill/inference/repository';
import { Command, InvalidArgumentError, Option } from 'commander';
import { CliError } from './cli-error.ts';
import { dataDirOption } from './data-dir.ts';
import { describeModel, summarizeModel } from './models-facts.ts';
import { comparisonText, renderImport, renderList, renderModel } from './models-text.ts';

interface RepositoryOptions {
  repository?: string;
  dataDir: string;
  json?: true;
}

interface ImportCommandOptions extends RepositoryOptions {
  defaults?: true;
  name?: string;
  role?: 'detect' | 'recognize';
  labels?: string;
  output?: string;
  version?: number;
  maxBatchSize?: number;
  height?: number;
  widthLadder?: number[];
}

/** `glyphmill models`: looks at, checks and fills a model repository. */
export function modelsCommand(): Command {
  return new Command('models')
    .description('List, show, verify and import the models of a repository')
    .addCommand(onRepository('list', 'Name the models with their role, versions and batch size').action(list))
    .addCommand(
      onRepository('show', 'Say what a model’s config means, what its graph has, and how it was imported')
        .argument('<name>')
        .action(show),
    )
    .addCommand(
      onRepository('verify', 'Check config, files, digests and dictionary, and run every version once')
        .argument('[name]', 'one model; default: all')
        .action(verify),
    )
    .addCommand(importCommand());
}

function onRepository(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--repository <dir>', 'the model repository (default: models in the data directory)')
    .addOption(dataDirOption())
    .option('--json', 'print JSON')
    .exitOverride()
    .showHelpAfterError();
}

function importCommand(): Command {
  return onRepository('import', 'Put an ONNX model into the repository, with its graph made smaller')
    .argument('[file.onnx]')
    .option('--defaults', 'instead of a file: the default models, where they are not there')
    .option('--name <name>', 'of the model; one that is there gets a new version (default: the file’s name)')
    .addOption(
      new Option('--role <role>', 'needed where the outputs do not say it').choices(['detect', 'recognize']),
    )
    .option('--labels <file>', 'a new recogniser’s dictionary, one character a line')
    .option('--output <name>', 'the output to read, where there are several')
    .option('--version <n>', 'default: one above the highest', parseWhole)
    .option('--max-batch-size <n>', 'default: 8 for a recogniser, 1 for a detector', parseWhole)
    .option('--height <px>', 'of lines, where the model leaves it open', parseWhole)
    .option('--width-ladder <px,…>', 'widths that lines are padded to, ascending', (text: string) =>
      text.split(',').map(parseWhole),
    )
    .action(runImport);
}

async function list(options: RepositoryOptions): Promise<void> {
  const repository = repositoryOf(options);
  const names = await namesIn(repository);
  const models = await Promise.all(names.map((name) => summarizeModel(repository, name)));
  print(options, { repository, models }, () => renderList(models));
}

async function show(name: string, options: RepositoryOptions): Promise<void> {
  const repository = repositoryOf(options);
  await assertPresent(repository, name);
  const model = await described(() => describeModel(repository, name));
  print(options, model, () => renderModel(model));
}

async function verify(name: string | undefined, options: RepositoryOptions): Promise<void> {
  const repository = repositoryOf(options);
  if (name !== undefined) await assertPresent(repository, name);
  else await namesIn(repository);
  const models = await verifyModels(repository, { name, compares: true });
  print(options, { repository, models }, () => models.flatMap(renderCheck).join('\n'));
  const mistakes = models.reduce((sum, model) => sum + model.mistakes.length, 0);
  const faulty = models.filter((model) => model.mistakes.length > 0).length;
  if (mistakes > 0)
    throw new CliError('failed', `${mistakes} mistakes in ${faulty} of ${models.length} models`);
}

function renderCheck({ name, versions, mistakes }: ModelCheck): string[] {
  return [
    ...versions.map(
      ({ version, provider, compared }) =>
        `${name} version ${version}: in order, ran on ${provider}${compared ? `; ${comparisonText(compared)}` : ''}`,
    ),
    ...mistakes.map(({ file, field, problem, remedy }) => `${file}: ${field}: ${problem}. ${remedy}.`),
  ];
}

async function runImport(file: string | undefined, options: ImportCommandOptions): Promise<void> {
  const repository = repositoryOf(options);
  if (options.defaults) {
    if (file !== undefined) throw new CliError('usage', 'expected a file or --defaults, got both');
    await importDefaultModels(repository);
    return list(options);
  }
  if (file === undefined) throw new CliError('usage', 'expected an ONNX file, or --defaults');
  const { role, labels, output, version, maxBatchSize, height, widthLadder } = options;
  const name = options.name ?? basename(file).replace(/\.onnx$/, '');
  const imported = await described(() =>
    importModel({
      repository,
      file,
      name,
      role,
      labels,
      output,
      version,
      maxBatchSize,
      height,
      widthLadder,
    }),
  );
  const { config, note } = imported;
  print(options, { repository, name, version: imported.version, role: config.settings.role, ...note }, () =>
    renderImport(imported, repository),
  );
}

function repositoryOf({ repository, dataDir }: RepositoryOptions): string {
  return repository ?? join(dataDir, 'models');
}

async function namesIn(repository: string): Promise<string[]> {
  try {
    return await modelNames(repository);
  } catch (error) {
    const problem = `there is no model repository ${repository}; glyphmill models import --defaults makes one`;
    throw new CliError('usage', problem, { cause: error });
  }
}

async function assertPresent(repository: string, name: string): Promise<void> {
  const names = await namesIn(repository);
  if (!names.includes(name))
    throw new CliError(
      'usage',
      `there is no model "${name}" in ${repository}; found: ${names.join(', ') || 'none'}`,
    );
}

async function described<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ModelConfigError) throw new CliError('failed', error.message, { cause: error });
    throw error;
  }
}

function print({ json }: RepositoryOptions, value: object, text: () => string): void {
  process.stdout.write(`${json ? JSON.stringify(value) : text()}\n`);
}

function parseWhole(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('expected a whole number above 0');
}
