// TrackmasterLink: the game's end of the link to trackmaster, for TMInterface 2.1 and newer.
//
// It serves one client at a time on 127.0.0.1, port = variable custom_port (set it on the command line of the game:
// /configstring="set custom_port 8478"). Two dialects: the one that the public plugin speaks (messages up to 23), and
// ours (from 100 on) once the client has said hello. docs/protocol.md describes both; ids and sizes are those of
// src/trackmaster/game/link/protocol.py, and a test compares them.
//
// The rule of both: a message of the game blocks the game until the client acknowledges it by its bare number; only in
// between commands are executed.

// Messages of the plain dialect.
const int SC_RUN_STEP_SYNC = 1;
const int SC_CHECKPOINT_COUNT_CHANGED_SYNC = 2;
const int SC_LAP_COUNT_CHANGED_SYNC = 3;
const int SC_REQUESTED_FRAME_SYNC = 4;
const int SC_ON_CONNECT_SYNC = 5;
const int C_SET_SPEED = 6;
const int C_REWIND_TO_STATE = 7;
const int C_REWIND_TO_CURRENT_STATE = 8;
const int C_GET_SIMULATION_STATE = 9;
const int C_SET_INPUT_STATE = 10;
const int C_GIVE_UP = 11;
const int C_PREVENT_SIMULATION_FINISH = 12;
const int C_SHUTDOWN = 13;
const int C_EXECUTE_COMMAND = 14;
const int C_SET_TIMEOUT = 15;
const int C_RACE_FINISHED = 16;
const int C_REQUEST_FRAME = 17;
const int C_RESET_CAMERA = 18;
const int C_SET_ON_STEP_PERIOD = 19;
const int C_UNREQUEST_FRAME = 20;
const int C_TOGGLE_INTERFACE = 21;
const int C_IS_IN_MENUS = 22;
const int C_GET_INPUTS = 23;

// Messages of our dialect; behind each id except C_HELLO stands a byte length.
const int C_HELLO = 100;
const int C_HELLO_CLIENT = 101;
const int C_SET_INPUT_EX = 102;
const int SC_SAMPLE = 103;
const int C_REQUEST_SAMPLE = 104;
const int C_PLAY_INPUTS = 105;
const int C_CAPTURE_PLAN = 106;
const int C_HEARTBEAT = 108;
const int C_WATCHDOG = 110;
const int SC_ERROR = 113;
const int C_FOCUS = 114;

// Bytes of the fixed fields of our messages.
const int SIZE_C_HELLO_CLIENT = 8;
const int SIZE_C_SET_INPUT_EX = 10;
const int SIZE_SC_SAMPLE = 36;
const int SIZE_C_REQUEST_SAMPLE = 16;
const int SIZE_C_PLAY_INPUTS = 4;
const int SIZE_C_CAPTURE_PLAN = 16;
const int SIZE_C_HEARTBEAT = 0;
const int SIZE_C_WATCHDOG = 8;
const int SIZE_SC_ERROR = 4;
const int SIZE_C_FOCUS = 0;
const int SIZE_INPUT_EVENT = 9;
const int SIZE_PLAN_ENTRY = 8;

const int FIRST_OF_OURS = 100;
const int MAGIC = 0x31584D54;
const int VERSION_MAJOR = 1;
const int VERSION_MINOR = 0;
const int ALL_FEATURES = 127;
const string PLUGIN_VERSION = "1.0.0";

const int WANTS_STATE = 1;
const int WANTS_PICTURE = 2;
const int FLAG_SYNC = 1;
const int FORMAT_BGRA = 1;
const int MASK_KEYS = 1;
const int MASK_STEER = 2;
const int MASK_GAS = 4;
const int KEY_ACCELERATE = 1;
const int KEY_BRAKE = 2;
const int KEY_LEFT = 4;
const int KEY_RIGHT = 8;

// Controls of C_PLAY_INPUTS.
const int CONTROL_ACCELERATE = 0;
const int CONTROL_BRAKE = 1;
const int CONTROL_LEFT = 2;
const int CONTROL_RIGHT = 3;
const int CONTROL_RESPAWN = 4;
const int CONTROL_STEER = 5;
const int CONTROL_GAS = 6;

const string HOST = "127.0.0.1";
const uint DEFAULT_TIMEOUT_MS = 2000;
const int DEFAULT_PERIOD_MS = 10;
const int GAS_THRESHOLD = 19661;
const int ERROR_TAKEN_OVER = 1;

class Sample
{
    int request = 0;
    int wants = 0;
    int width = 0;
    int height = 0;
    bool isSync = true;
    int raceTime = 0;
    int tickTime = 0;
    array<uint8> state;
}

class PlannedTick
{
    int time = 0;
    int wants = 0;
}

class InputEvent
{
    int time = 0;
    int control = 0;
    int value = 0;
}

Net::Socket@ listener = null;
Net::Socket@ client = null;
bool isOurs = false;
bool greetInMenus = false;

uint timeoutMs = DEFAULT_TIMEOUT_MS;
uint64 waitBegan = 0;
uint64 heard = 0;
uint watchdogMs = 0;
float watchdogSpeed = 1.0f;

int periodMs = DEFAULT_PERIOD_MS;
float wantedSpeed = 1.0f;
int frameWidth = -1;
int frameHeight = -1;

array<PlannedTick> plan;
uint planAt = 0;
int planWidth = 0;
int planHeight = 0;
bool isAsked = false;
Sample asked;
bool isHeld = false;
Sample held;

array<InputEvent> played;
uint playedAt = 0;
int playedUntil = 0;
int keysHeld = 0;
int steerHeld = 0;
bool steerIsHeld = false;
// Console lines that wait for their frame, a ring.
const uint MAX_LINES = 256;
array<string> lines(MAX_LINES);
uint firstLine = 0;
uint lineCount = 0;

// ---------------------------------------------------------------- entry points

PluginInfo@ GetPluginInfo()
{
    PluginInfo info;
    info.Author = "trackmaster";
    info.Name = "Trackmaster Link";
    info.Description = "Lets trackmaster (or any client of the public link) drive the game over a socket";
    info.Version = PLUGIN_VERSION;
    return info;
}

void Main()
{
    RegisterVariable("custom_port", 0);
    // The value from the command line of the game is set after this function: a command comes later still.
    RegisterCustomCommand("trackmaster_listen", "Opens the port of the link", OnListen);
    CommandList start;
    start.Content = "trackmaster_listen";
    start.Process();
}

void OnListen(int fromTime, int toTime, const string&in line, const array<string>&in args)
{
    if (listener !is null) {
        return;
    }
    const uint16 port = uint16(GetVariableDouble("custom_port"));
    if (port == 0) {
        log("Trackmaster Link: custom_port is 0. Start the game with /configstring=\"set custom_port 8478\".");
        return;
    }
    @listener = Net::Socket();
    listener.Listen(HOST, port);
    log("Port set to " + port);
}

void OnGameStateChanged(TM::GameState state)
{
    if (state == TM::GameState::Menus && greetInMenus && client !is null) {
        greetInMenus = false;
        SendAndWait(SC_ON_CONNECT_SYNC);
    }
}

// Never print from here: the game does not survive it.
void Render()
{
    if (listener is null) {
        return;
    }
    AcceptClient();
    RunOneLine();
    if (client !is null && frameWidth >= 0) {
        ServeFrame();
    }
    if (client !is null && isHeld) {
        ServeHeldSample();
    }
    WatchClient();
}

void OnRunStep(SimulationManager@ sim)
{
    if (client is null) {
        return;
    }
    PlayInputs(sim);
    const bool isFinished = sim.TickTime > sim.RaceTime;
    if (planAt >= plan.Length && (sim.RaceTime % periodMs == 0 || isFinished)) {
        client.Write(SC_RUN_STEP_SYNC);
        client.Write(sim.RaceTime);
        WaitFor(SC_RUN_STEP_SYNC);
    }
    if (client !is null) {
        TakeSamples(sim);
    }
}

void OnCheckpointCountChanged(SimulationManager@ sim, int current, int target)
{
    SendCount(SC_CHECKPOINT_COUNT_CHANGED_SYNC, current, target);
}

void OnLapCountChanged(SimulationManager@ sim, int current, int target)
{
    SendCount(SC_LAP_COUNT_CHANGED_SYNC, current, target);
}

// ---------------------------------------------------------------- the client

void AcceptClient()
{
    Net::Socket@ fresh = listener.Accept(0);
    if (fresh is null) {
        return;
    }
    if (client !is null && isOurs) {
        SendError(ERROR_TAKEN_OVER, "another program connected to this game and took the only place for a client");
    }
    fresh.NoDelay = true;
    @client = fresh;
    isOurs = false;
    ForgetSamples();
    heard = Time::Now;
    if (GetCurrentGameState() == TM::GameState::StartUp) {
        greetInMenus = true;
    } else {
        SendAndWait(SC_ON_CONNECT_SYNC);
    }
}

void DropClient()
{
    @client = null;
    greetInMenus = false;
    frameWidth = -1;
    timeoutMs = DEFAULT_TIMEOUT_MS;
    ForgetSamples();
    if (isOurs) {
        // Whoever comes next, a player perhaps, finds the game as it should be.
        SimulationManager@ sim = GetSimulationManager();
        SetSpeed(sim, watchdogSpeed > 0.0f ? watchdogSpeed : 1.0f);
        ToggleRaceInterface(true);
        periodMs = DEFAULT_PERIOD_MS;
        played = array<InputEvent>(0);
    }
    watchdogMs = 0;
    watchdogSpeed = 1.0f;
    isOurs = false;
}

// A paused game in which nobody is asked anything: only a client that is gone leaves it like that.
void WatchClient()
{
    if (client is null || !isOurs || watchdogMs == 0 || wantedSpeed > 0.0f || isHeld || frameWidth >= 0) {
        return;
    }
    if (Time::Now > heard + watchdogMs) {
        DropClient();
    }
}

void ForgetSamples()
{
    plan = array<PlannedTick>(0);
    planAt = 0;
    isAsked = false;
    isHeld = false;
}

// ---------------------------------------------------------------- messages and the wait

void SendAndWait(int message)
{
    client.Write(message);
    WaitFor(message);
}

void SendCount(int message, int current, int target)
{
    if (client is null) {
        return;
    }
    client.Write(message);
    client.Write(current);
    client.Write(target);
    WaitFor(message);
}

void SendError(int code, const string&in text)
{
    client.Write(SC_ERROR);
    client.Write(SIZE_SC_ERROR + 4 + int(text.Length));
    client.Write(code);
    client.Write(int(text.Length));
    client.Write(text);
}

// Blocks the game until the client acknowledges `message`, says goodbye or is silent for too long.
void WaitFor(int message)
{
    waitBegan = Time::Now;
    heard = waitBegan;
    while (client !is null) {
        if (client.Available == 0) {
            const uint64 now = Time::Now;
            const bool isLate = now > waitBegan + timeoutMs;
            const bool isSilent = isOurs && watchdogMs > 0 && now > heard + watchdogMs;
            if (isLate || isSilent) {
                log("Trackmaster Link: no answer to message " + message);
                DropClient();
            }
            continue;
        }
        const int found = client.ReadInt32();
        heard = Time::Now;
        if (found == message) {
            return;
        }
        if (found == C_SHUTDOWN) {
            DropClient();
            return;
        }
        if (found < FIRST_OF_OURS) {
            ExecutePlain(found);
        } else {
            ExecuteOurs(found);
        }
    }
}

// ---------------------------------------------------------------- commands of the plain dialect

void ExecutePlain(int message)
{
    SimulationManager@ sim = GetSimulationManager();
    switch (message) {
        case SC_RUN_STEP_SYNC:
        case SC_CHECKPOINT_COUNT_CHANGED_SYNC:
        case SC_LAP_COUNT_CHANGED_SYNC:
        case SC_REQUESTED_FRAME_SYNC:
        case SC_ON_CONNECT_SYNC:
            break; // an acknowledgement that nobody waits for
        case C_SET_SPEED:
            SetSpeed(sim, client.ReadFloat());
            break;
        case C_REWIND_TO_STATE:
            RewindToState(sim);
            break;
        case C_REWIND_TO_CURRENT_STATE:
            if (sim.InRace) {
                sim.RewindToState(sim.SaveState());
            }
            break;
        case C_GET_SIMULATION_STATE: {
            array<uint8>@ state = sim.SaveState().ToArray();
            client.Write(int(state.Length));
            client.Write(state);
            break;
        }
        case C_SET_INPUT_STATE:
            SetFourKeys(sim);
            break;
        case C_GIVE_UP:
            if (sim.InRace) {
                ForgetSamples();
                sim.GiveUp();
            }
            break;
        case C_PREVENT_SIMULATION_FINISH:
            if (sim.InRace) {
                sim.PreventSimulationFinish();
            }
            break;
        case C_EXECUTE_COMMAND:
            ExecuteLine(client.ReadString(uint(client.ReadInt32())));
            break;
        case C_SET_TIMEOUT:
            timeoutMs = client.ReadUint32();
            break;
        case C_RACE_FINISHED:
            client.Write(sim.PlayerInfo.RaceFinished || sim.TickTime > sim.RaceTime ? 1 : 0);
            break;
        case C_REQUEST_FRAME:
            frameWidth = client.ReadInt32();
            frameHeight = client.ReadInt32();
            break;
        case C_RESET_CAMERA:
            sim.ResetCamera();
            break;
        case C_SET_ON_STEP_PERIOD: {
            const int period = client.ReadInt32();
            periodMs = period > 0 ? period : DEFAULT_PERIOD_MS;
            break;
        }
        case C_UNREQUEST_FRAME:
            frameWidth = -1;
            break;
        case C_TOGGLE_INTERFACE:
            ToggleRaceInterface(client.ReadInt32() != 0);
            break;
        case C_IS_IN_MENUS:
            client.Write(GetCurrentGameState() == TM::GameState::Menus ? 1 : 0);
            break;
        case C_GET_INPUTS: {
            const string text = sim.InRace ? sim.InputEvents.ToCommandsText() : "";
            client.Write(int(text.Length));
            client.Write(text);
            break;
        }
        default:
            log("Trackmaster Link: unknown message " + message);
            break;
    }
}

void SetSpeed(SimulationManager@ sim, float factor)
{
    wantedSpeed = factor;
    sim.SetSpeed(factor);
}

void RewindToState(SimulationManager@ sim)
{
    const int length = client.ReadInt32();
    array<uint8>@ content = client.ReadBytes(uint(length));
    if (sim.InRace) {
        SimulationState state(content);
        sim.RewindToState(state);
    }
}

void SetFourKeys(SimulationManager@ sim)
{
    int keys = 0;
    if (client.ReadUint8() != 0) { keys |= KEY_LEFT; }
    if (client.ReadUint8() != 0) { keys |= KEY_RIGHT; }
    if (client.ReadUint8() != 0) { keys |= KEY_ACCELERATE; }
    if (client.ReadUint8() != 0) { keys |= KEY_BRAKE; }
    HoldKeys(sim, keys);
}

void HoldKeys(SimulationManager@ sim, int keys)
{
    keysHeld = keys;
    if (!sim.InRace) {
        return;
    }
    sim.SetInputState(InputType::Left, (keys & KEY_LEFT) != 0 ? 1 : 0);
    sim.SetInputState(InputType::Right, (keys & KEY_RIGHT) != 0 ? 1 : 0);
    sim.SetInputState(InputType::Up, (keys & KEY_ACCELERATE) != 0 ? 1 : 0);
    sim.SetInputState(InputType::Down, (keys & KEY_BRAKE) != 0 ? 1 : 0);
}

void HoldSteer(SimulationManager@ sim, int value)
{
    steerHeld = value;
    steerIsHeld = true;
    if (sim.InRace && sim.RaceTime >= 0) {
        sim.InputEvents.Add(sim.RaceTime, InputType::Steer, value);
    }
}

// Lines of one drawn frame run last in, first out. Clients of ours get them in order: one per frame.
void ExecuteLine(const string&in line)
{
    if (isOurs && lineCount < MAX_LINES) {
        lines[(firstLine + lineCount) % MAX_LINES] = line;
        lineCount++;
    } else {
        ExecuteCommand(line);
    }
}

void RunOneLine()
{
    if (lineCount == 0) {
        return;
    }
    const string line = lines[firstLine];
    firstLine = (firstLine + 1) % MAX_LINES;
    lineCount--;
    ExecuteCommand(line);
}

void ServeFrame()
{
    array<uint8>@ picture = Graphics::CaptureScreenshot(vec2(frameWidth, frameHeight));
    client.Write(SC_REQUESTED_FRAME_SYNC);
    client.Write(picture);
    WaitFor(SC_REQUESTED_FRAME_SYNC);
    frameWidth = -1;
}

// ---------------------------------------------------------------- commands of our dialect

void ExecuteOurs(int message)
{
    if (message == C_HELLO) {
        client.Write(MAGIC);
        client.Write(VERSION_MAJOR | VERSION_MINOR << 16);
        client.Write(ALL_FEATURES);
        client.Write(int(PLUGIN_VERSION.Length));
        client.Write(PLUGIN_VERSION);
        return;
    }
    const int length = client.ReadInt32();
    SimulationManager@ sim = GetSimulationManager();
    switch (message) {
        case C_HELLO_CLIENT:
            client.ReadBytes(uint(length));
            isOurs = true;
            break;
        case C_SET_INPUT_EX:
            SetInputEx(sim);
            break;
        case C_REQUEST_SAMPLE:
            isAsked = true;
            asked.request = client.ReadInt32();
            asked.width = client.ReadInt32();
            asked.height = client.ReadInt32();
            asked.wants = client.ReadInt32();
            asked.isSync = true;
            break;
        case C_PLAY_INPUTS:
            ReadInputs();
            break;
        case C_CAPTURE_PLAN:
            ReadPlan();
            break;
        case C_HEARTBEAT:
            waitBegan = heard;
            break;
        case C_WATCHDOG:
            watchdogMs = client.ReadUint32();
            watchdogSpeed = client.ReadFloat();
            break;
        case C_FOCUS:
            Graphics::FocusGameWindow();
            break;
        default:
            client.ReadBytes(uint(length));
            log("Trackmaster Link: unknown message " + message);
            break;
    }
}

void SetInputEx(SimulationManager@ sim)
{
    const int mask = client.ReadUint8();
    int keys = client.ReadUint8();
    const int steer = client.ReadInt32();
    const int gas = client.ReadInt32();
    if ((mask & MASK_GAS) != 0) {
        keys = KeysOfGas((mask & MASK_KEYS) != 0 ? keys : keysHeld, gas);
    }
    if ((mask & (MASK_KEYS | MASK_GAS)) != 0) {
        HoldKeys(sim, keys);
    }
    if ((mask & MASK_STEER) != 0) {
        HoldSteer(sim, steer);
    }
}

// The gas axis is a switch in this game; + is backwards, as in scripts.
int KeysOfGas(int keys, int gas)
{
    int result = keys & ~(KEY_ACCELERATE | KEY_BRAKE);
    if (gas <= -GAS_THRESHOLD) { result |= KEY_ACCELERATE; }
    if (gas >= GAS_THRESHOLD) { result |= KEY_BRAKE; }
    return result;
}

void ReadInputs()
{
    const uint count = client.ReadUint32();
    played = array<InputEvent>(count);
    playedAt = 0;
    for (uint i = 0; i < count; i++) {
        played[i].time = client.ReadInt32();
        played[i].control = client.ReadUint8();
        played[i].value = client.ReadInt32();
    }
}

void ReadPlan()
{
    planWidth = client.ReadInt32();
    planHeight = client.ReadInt32();
    client.ReadUint32(); // flags, none so far
    const uint count = client.ReadUint32();
    plan = array<PlannedTick>(count);
    planAt = 0;
    for (uint i = 0; i < count; i++) {
        plan[i].time = client.ReadInt32();
        plan[i].wants = client.ReadInt32();
    }
}

// Sets what the list says for this callback; it acts in the tick after it.
void PlayInputs(SimulationManager@ sim)
{
    if (played.Length == 0 || !sim.InRace) {
        return;
    }
    bool hasKeys = false;
    const int now = sim.RaceTime;
    if (now < 0) {
        keysHeld = 0;
        steerIsHeld = false;
        playedAt = 0;
        return;
    }
    if (now <= playedUntil) {
        playedAt = 0; // the race was restarted or rewound
    }
    playedUntil = now;
    while (playedAt < played.Length && played[playedAt].time < now) {
        playedAt++;
    }
    for (; playedAt < played.Length && played[playedAt].time == now; playedAt++) {
        const int value = played[playedAt].value;
        switch (played[playedAt].control) {
            case CONTROL_ACCELERATE: keysHeld = WithKey(KEY_ACCELERATE, value); hasKeys = true; break;
            case CONTROL_BRAKE: keysHeld = WithKey(KEY_BRAKE, value); hasKeys = true; break;
            case CONTROL_LEFT: keysHeld = WithKey(KEY_LEFT, value); hasKeys = true; break;
            case CONTROL_RIGHT: keysHeld = WithKey(KEY_RIGHT, value); hasKeys = true; break;
            case CONTROL_GAS: keysHeld = KeysOfGas(keysHeld, value); hasKeys = true; break;
            case CONTROL_STEER: HoldSteer(sim, value); break;
            case CONTROL_RESPAWN: if (value != 0) { ExecuteCommand("press enter"); } break;
        }
    }
    if (hasKeys) {
        HoldKeys(sim, keysHeld);
    }
}

int WithKey(int key, int value)
{
    return value != 0 ? keysHeld | key : keysHeld & ~key;
}

// ---------------------------------------------------------------- samples: a state and the picture of its own tick

void TakeSamples(SimulationManager@ sim)
{
    if (isAsked) {
        isAsked = false;
        Take(sim, asked);
        return;
    }
    while (planAt < plan.Length && plan[planAt].time < sim.TickTime) {
        planAt++; // lies in the past
    }
    if (planAt >= plan.Length || plan[planAt].time != sim.TickTime) {
        return;
    }
    Sample sample;
    sample.request = int(planAt);
    sample.wants = plan[planAt].wants;
    sample.width = planWidth;
    sample.height = planHeight;
    sample.isSync = planAt + 1 == plan.Length;
    planAt++;
    Take(sim, sample);
}

void Take(SimulationManager@ sim, Sample@ sample)
{
    SimulationState@ state = sim.SaveState();
    sample.raceTime = sim.RaceTime;
    sample.tickTime = sim.TickTime;
    sample.state = array<uint8>(0);
    if ((sample.wants & WANTS_STATE) != 0) {
        sample.state = state.ToArray();
    }
    if ((sample.wants & WANTS_PICTURE) == 0) {
        array<uint8> none;
        SendSample(sample, none);
        return;
    }
    // The race waits for the next natural picture. Going back to the state drops a tick that is already under way, and
    // with it the inputs of this callback: they are set again.
    sim.RewindToState(state);
    if (played.Length > 0) {
        HoldKeys(sim, keysHeld);
        if (steerIsHeld) {
            HoldSteer(sim, steerHeld);
        }
    }
    sim.SetSpeed(0.0f);
    held = sample;
    isHeld = true;
}

void ServeHeldSample()
{
    array<uint8>@ picture = Graphics::CaptureScreenshot(vec2(held.width, held.height));
    isHeld = false;
    GetSimulationManager().SetSpeed(wantedSpeed);
    SendSample(held, picture);
}

void SendSample(Sample@ sample, const array<uint8>&in picture)
{
    const bool hasPicture = picture.Length > 0;
    client.Write(SC_SAMPLE);
    client.Write(SIZE_SC_SAMPLE + int(sample.state.Length) + int(picture.Length));
    client.Write(sample.request);
    client.Write(hasPicture ? sample.width : 0);
    client.Write(hasPicture ? sample.height : 0);
    client.Write(FORMAT_BGRA);
    client.Write(sample.raceTime);
    client.Write(sample.tickTime);
    client.Write(sample.isSync ? FLAG_SYNC : 0);
    client.Write(int(sample.state.Length));
    client.Write(int(picture.Length));
    if (sample.state.Length > 0) {
        client.Write(sample.state);
    }
    if (hasPicture) {
        client.Write(picture);
    }
    if (sample.isSync) {
        WaitFor(SC_SAMPLE);
    }
}
