// The handler's last argument, and the environment variables behind it.

const now = Date.now;

// Settings are the environment variables that matter here, as they were at
// the start: a function may change its environment.
class Settings {
  constructor(env) {
    this.api = env.AWS_LAMBDA_RUNTIME_API;
    this.handler = env._HANDLER ?? '';
    this.taskRoot = env.LAMBDA_TASK_ROOT || process.cwd();
    this.functionName = env.AWS_LAMBDA_FUNCTION_NAME;
    this.functionVersion = env.AWS_LAMBDA_FUNCTION_VERSION;
    this.memoryLimitInMB = env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE;
    this.logGroupName = env.AWS_LAMBDA_LOG_GROUP_NAME;
    this.logStreamName = env.AWS_LAMBDA_LOG_STREAM_NAME;
    this.globals = !['1', 'true'].includes(env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA);
    const asked = /_nodejs(\d+)/.exec(env.AWS_EXECUTION_ENV ?? '');
    this.major = +(asked?.[1] ?? process.versions.node.split('.')[0]);
    this.modern = this.major >= 24;
  }
}

// newContext makes the context of an invocation out of an object that holds
// done, fail, succeed and callbackWaitsForEmptyEventLoop where the runtime has
// them.
function newContext(settings, about, context) {
  const deadline = +about.deadlineMs;
  context.functionVersion = settings.functionVersion;
  context.functionName = settings.functionName;
  context.memoryLimitInMB = settings.memoryLimitInMB;
  context.logGroupName = settings.logGroupName;
  context.logStreamName = settings.logStreamName;
  context.clientContext = parse(about.clientContext);
  context.identity = parse(about.identity);
  context.invokedFunctionArn = about.arn;
  context.awsRequestId = about.requestId;
  context.tenantId = about.tenantId;
  if (settings.modern) context.xRayTraceId = about.traceId;
  context.getRemainingTimeInMillis = function getRemainingTimeInMillis() {
    return deadline - now();
  };
  return context;
}

const { parse: parseJSON } = JSON;

function parse(text) {
  return text ? parseJSON(text) : undefined;
}

module.exports = { newContext, Settings };
