// Reads an AsyncAPI document from standard input; prints what the AsyncAPI project's own parser says of it, as JSON.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";
import { AvroSchemaParser } from "@asyncapi/avro-schema-parser";

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
const { document, diagnostics } = await parser.parse(readFileSync(0, "utf8"));
const said = diagnostics.map(({ code, message, path, severity }) => ({ code, message, path: path.join("/"), severity }));
const read = document && {
  version: document.version(),
  channels: document.channels().all().map((channel) => channel.address()),
  operations: document.operations().all().map((operation) => [operation.id(), operation.action()]),
  messages: document.allMessages().all().map((message) => [message.id(), message.contentType(), message.schemaFormat()]),
};
console.log(JSON.stringify({ said, read: read ?? null }));
