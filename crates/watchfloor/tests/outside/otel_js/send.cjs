// Sends the same orders by each OTLP exporter of the JavaScript SDK: HTTP with JSON, HTTP with
// protobuf (also compressed), gRPC. Usage: node send.cjs URL GRPC_ADDRESS TOKEN COUNT
const { LoggerProvider, BatchLogRecordProcessor } = require("@opentelemetry/sdk-logs");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { OTLPLogExporter: Json } = require("@opentelemetry/exporter-logs-otlp-http");
const { OTLPLogExporter: Proto } = require("@opentelemetry/exporter-logs-otlp-proto");
const { OTLPLogExporter: Grpc } = require("@opentelemetry/exporter-logs-otlp-grpc");
const { credentials, Metadata } = require("@grpc/grpc-js");

const [url, grpc, token, count] = process.argv.slice(2);
const headers = { authorization: `Bearer ${token}` };
const metadata = new Metadata();
metadata.set("authorization", headers.authorization);

const exporters = {
  jsjson: new Json({ url: `${url}/v1/logs`, headers }),
  jsproto: new Proto({ url: `${url}/v1/logs`, headers }),
  jsgzip: new Proto({ url: `${url}/v1/logs`, headers, compression: "gzip" }),
  jsgrpc: new Grpc({ url: `http://${grpc}`, metadata, credentials: credentials.createInsecure() }),
};

async function send(name, exporter) {
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ "service.name": "shop", "host.name": "web-02" }),
    processors: [new BatchLogRecordProcessor({ exporter })],
  });
  const logger = provider.getLogger("orders");
  for (let number = 0; number < Number(count); number += 1) {
    logger.emit({
      severityText: "INFO",
      severityNumber: 9,
      body: `order ${number} of ${name}`,
      attributes: { customer: "eve" },
    });
  }
  await provider.forceFlush();
  await provider.shutdown();
}

(async () => {
  for (const [name, exporter] of Object.entries(exporters)) {
    await send(name, exporter);
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
