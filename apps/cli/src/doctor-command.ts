import { Command } from 'commander';
import { CliError } from './cli-error.ts';
import { dataDirOption } from './data-dir.ts';
import type { Check } from './doctor-check.ts';
import { checkMachine } from './doctor-machine.ts';
import { checkInference } from './doctor-models.ts';
import { checkServices } from './doctor-services.ts';

interface DoctorOptions {
  json?: true;
  dataDir: string;
}

/** `glyphmill doctor`: what works here and what to do about what does not; changes and starts nothing that stays. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Say what works on this machine, and what to do about what does not')
    .option('--json', 'print JSON: {"ok", "checks": [{"name", "status", "message"}]}')
    .addOption(dataDirOption())
    .addHelpText(
      'after',
      `
Looks at REDIS_URL, S3_ENDPOINT, MODEL_REPOSITORY and the other settings of docs/configuration.md, as the
processes would. Exit code 0 when nothing fails; warnings alone do not fail.`,
    )
    .action(run);
}

async function run({ json, dataDir }: DoctorOptions): Promise<void> {
  const context = { env: process.env, dataDir };
  const groups = await Promise.all([checkMachine(context), checkInference(context), checkServices(context)]);
  const checks = groups.flat();
  const failures = checks.filter(({ status }) => status === 'fail');
  process.stdout.write(
    json ? `${JSON.stringify({ ok: failures.length === 0, checks })}\n` : describe(checks),
  );
  if (failures.length > 0)
    throw new CliError(
      'failed',
      `${failures.length} of ${checks.length} checks failed: ${failures.map(({ name }) => name).join(', ')}`,
    );
}

function describe(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  return checks
    .map(({ name, status, message }) => `${status.padEnd(4)}  ${name.padEnd(width)}  ${message}\n`)
    .join('');
}
