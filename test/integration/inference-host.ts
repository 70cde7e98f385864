/**
 * A program that opens models and keeps an instance busy, for the test that kills it. Arguments: the repository, the
 * recogniser. It writes one JSON line with its instances' process ids once the run is under way.
 */
import { openModels } from '@glyphmill/inference/models';
import { greyLine } from './inference-onnx.ts';
import { pidsOf, quietLog, until } from './inference-samples.ts';

const [repository = '', recognize = ''] = process.argv.slice(2);
const models = await openModels({ repository, names: { recognize }, provider: 'cpu', log: quietLog() });
void models.recognize(greyLine(255)).catch(() => {});
await until('a run is under way', () => models.states().some(({ status }) => status === 'busy'));
console.log(JSON.stringify(pidsOf(models)));
