import type { Case } from './case.ts';
import { batchCases } from './cases/batches.ts';
import { documentCases } from './cases/documents.ts';
import { faultCases } from './cases/faults.ts';
import { jobCases } from './cases/jobs.ts';
import { refusalCases } from './cases/refusals.ts';
import { webhookCases } from './cases/webhooks.ts';

export const cases: readonly Case[] = [
  ...documentCases,
  ...jobCases,
  ...batchCases,
  ...refusalCases,
  ...faultCases,
  ...webhookCases,
];
