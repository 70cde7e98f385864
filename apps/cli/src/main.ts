import { Command, CommanderError } from 'commander';
import { appCommands } from './app-commands.ts';
import { CliError, exitCodes } from './cli-error.ts';
import { demoCommand } from './demo-command.ts';
import { doctorCommand } from './doctor-command.ts';
import { jobCommands } from './job-commands.ts';
import { keyCommand } from './key-command.ts';
import { modelsCommand } from './models-command.ts';
import { ocrCommand } from './ocr-command.ts';
import { scalingCommand } from './scaling-command.ts';
import { simulateCommand } from './simulate-command.ts';
import { startCommand } from './start-command.ts';

const program = new Command('glyphmill')
  .description('Self-hosted, queue-based batch OCR: S3 objects in, text out.')
  .version('0.1.0')
  .showHelpAfterError()
  .exitOverride()
  // A command may have options of the same names.
  .enablePositionalOptions()
  .addHelpText(
    'after',
    `
Exit codes: 0 done; 1 a document or job failed; 2 the command line is not valid; 3 the API or a needed service cannot be reached.

First steps:
  $ glyphmill ocr scan.png                 read one image here, without any server
  $ glyphmill start                        bring up the whole system on this machine
  $ glyphmill submit scan.png              submit a job to it; then: glyphmill wait <id>`,
  );

for (const command of [
  startCommand(),
  ...appCommands(),
  ...jobCommands(),
  ocrCommand(),
  keyCommand(),
  modelsCommand(),
  simulateCommand(),
  scalingCommand(),
  demoCommand(),
  doctorCommand(),
]) {
  program.addCommand(command.exitOverride().showHelpAfterError());
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Says what went wrong, without a stack where the message is enough; returns the exit code. */
function report(error: unknown): number {
  // Commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage;
  if (error instanceof CliError) {
    process.stderr.write(`glyphmill: ${error.message}\n`);
    return error.exitCode;
  }
  process.stderr.write(
    `glyphmill: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return exitCodes.failed;
}
