// Prints what npm's pprof-format finds in a profile: stacks root first, each with its values, as JSON.
//     node read_pprof.mjs FOLDER-OF-PPROF-FORMAT FILE
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { gunzipSync } from "node:zlib";

const { Profile } = createRequire(import.meta.url)(process.argv[2]);
const packed = readFileSync(process.argv[3]);
const profile = Profile.decode(packed[0] === 0x1f ? gunzipSync(packed) : packed);
const text = (index) => profile.stringTable.strings[Number(index)];
const functions = new Map(profile.function.map((item) => [item.id, text(item.name)]));
const locations = new Map(
    profile.location.map((item) => [item.id, item.line.map((line) => functions.get(line.functionId))]),
);
const samples = profile.sample.map((sample) => ({
    stack: sample.locationId.flatMap((id) => locations.get(id)).reverse(),
    values: sample.value.map(Number),
    labels: Object.fromEntries(sample.label.map((label) => [text(label.key), text(label.str) || Number(label.num)])),
}));
console.log(JSON.stringify({ types: profile.sampleType.map((type) => [text(type.type), text(type.unit)]), samples }));
