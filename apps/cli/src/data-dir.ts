import { Option } from 'commander';

export const defaultDataDir = '.glyphmill';

/** Where everything that is kept between runs stands: queue, objects, models, downloads, keys. */
export function dataDirOption(): Option {
  return new Option('--data-dir <path>', 'where data and models are kept')
    .env('GLYPHMILL_DATA_DIR')
    .default(defaultDataDir);
}
