// Compiles plugin/TrackmasterLink.as with the real AngelScript compiler against declarations of the TMInterface API that
// it uses (game_link.md 20), and runs it: lines on standard input play the game and the client, lines on standard output
// tell what the plugin called and sent. Without input it only compiles.
#define AS_USE_NAMESPACE
#include <angelscript.h>
#include <angelscript/scriptarray.h>
#include <angelscript/scriptstdstring.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

using namespace AngelScript; // Debian builds the library in this namespace

static asIScriptEngine *engine = nullptr;
static int failures = 0;

// ---- what the game and the client are at the moment
static std::string incoming, outgoing;
static bool clientKnocks = false;
static uint64_t nowMs = 0;
static int gameState = 1; // StartUp 0, Menus 1, LocalRace 2
static std::map<std::string, double> variables;
static std::string inputsText = "0 press up\n";
static std::string stateContent(16, 'S');

static void call(const std::string &text) { std::cout << "call " << text << "\n"; }

// ---- reference-counted objects of the API
struct Counted {
    int count = 1;
    void AddRef() { ++count; }
    void Release() {
        if (--count == 0) delete this;
    }
    virtual ~Counted() {}
};

static CScriptArray *bytesOf(const std::string &content) {
    CScriptArray *array = CScriptArray::Create(engine->GetTypeInfoByDecl("array<uint8>"), asUINT(content.size()));
    for (asUINT i = 0; i < content.size(); ++i) array->SetValue(i, (void *)&content[i]);
    return array;
}

static std::string textOf(const CScriptArray &array) {
    std::string content;
    for (asUINT i = 0; i < array.GetSize(); ++i) content += *(const char *)array.At(i);
    return content;
}

struct Socket : Counted {
    bool noDelay = false;
    std::string take(asUINT size) {
        if (size > incoming.size()) {
            std::cout << "starved\n";
            std::cout.flush();
            std::_Exit(3); // the real plugin would hang here
        }
        std::string part = incoming.substr(0, size);
        incoming.erase(0, size);
        return part;
    }
    void Listen(const std::string &host, uint16_t port) { call("Listen " + host + " " + std::to_string(port)); }
    Socket *Accept(asUINT) {
        if (!clientKnocks) return nullptr;
        clientKnocks = false;
        return new Socket();
    }
    asUINT Available() const { return asUINT(incoming.size()); }
    void SetNoDelay(bool value) { noDelay = value; }
    bool GetNoDelay() const { return noDelay; }
    std::string RemoteIP() const { return "127.0.0.1"; }
    template <typename T> T number() {
        std::string part = take(sizeof(T));
        T value;
        std::memcpy(&value, part.data(), sizeof(T));
        return value;
    }
    int ReadInt32() { return number<int>(); }
    asUINT ReadUint32() { return number<asUINT>(); }
    uint8_t ReadUint8() { return number<uint8_t>(); }
    float ReadFloat() { return number<float>(); }
    CScriptArray *ReadBytes(asUINT size) { return bytesOf(take(size)); }
    std::string ReadString(asUINT size) { return take(size); }
    void WriteInt(int value) { outgoing.append((const char *)&value, 4); }
    void WriteText(const std::string &text) { outgoing += text; }
    void WriteBytes(const CScriptArray &array) { outgoing += textOf(array); }
    static Socket *Create() { return new Socket(); }
};

struct PluginInfo : Counted {
    std::string author, name, description, version;
    static PluginInfo *Create() { return new PluginInfo(); }
};

struct SimulationState : Counted {
    std::string content = stateContent;
    CScriptArray *ToArray() const { return bytesOf(content); }
    static SimulationState *FromArray(const CScriptArray &array) {
        SimulationState *state = new SimulationState();
        state->content = textOf(array);
        return state;
    }
};

struct PlayerInfo {
    bool raceFinished = false;
};
static PlayerInfo player;

struct InputEventBuffer {
    void Add(int time, int type, int value) {
        call("Add " + std::to_string(time) + " " + std::to_string(type) + " " + std::to_string(value));
    }
    std::string ToCommandsText() const { return inputsText; }
};
static InputEventBuffer buffer;

struct SimulationManager {
    bool inRace = true;
    int raceTime = 0, tickTime = 0;
    PlayerInfo *GetPlayerInfo() { return &player; }
    InputEventBuffer *GetInputEvents() { return &buffer; }
    void SetSpeed(float factor) {
        std::ostringstream text;
        text << "SetSpeed " << factor;
        call(text.str());
    }
    void GiveUp() { call("GiveUp"); }
    void PreventSimulationFinish() { call("PreventSimulationFinish"); }
    void ResetCamera() { call("ResetCamera"); }
    SimulationState *SaveState() { return new SimulationState(); }
    void RewindToState(SimulationState *state) {
        call("RewindToState " + state->content);
        state->Release(); // an argument handle belongs to us
    }
    void SetInputState(int type, int value) {
        call("SetInputState " + std::to_string(type) + " " + std::to_string(value));
    }
};
static SimulationManager manager;
static SimulationManager *GetSimulationManager() { return &manager; }

struct CommandList : Counted {
    std::string content;
    void Process();
    static CommandList *Create() { return new CommandList(); }
};

struct Vec2 {
    float x, y;
    static void Construct(float x, float y, Vec2 *self) { new (self) Vec2{x, y}; }
};

static int GetCurrentGameState() { return gameState; }
static void ExecuteLine(const std::string &line) { call("ExecuteCommand " + line); }
static void ToggleRaceInterface(bool shown) { call(std::string("ToggleRaceInterface ") + (shown ? "1" : "0")); }
static void Log(const std::string &text) { std::cout << "log " << text << "\n"; }
static uint64_t TimeNow() { return nowMs++; } // every look at the clock costs a millisecond, so that no wait is endless
static void RegisterVariable(const std::string &name, double value) { variables.emplace(name, value); }
static double GetVariableDouble(const std::string &name) { return variables[name]; }
static void FocusGameWindow() { call("FocusGameWindow"); }
static CScriptArray *CaptureScreenshot(const Vec2 &size) {
    std::ostringstream text;
    text << "CaptureScreenshot " << size.x << " " << size.y;
    call(text.str());
    return bytesOf(std::string(size_t(size.x) * size_t(size.y) * 4, 'P'));
}

static asIScriptFunction *custom = nullptr;
static void RegisterCustomCommand(const std::string &, const std::string &, asIScriptFunction *function) {
    if (custom) custom->Release();
    custom = function;
}

static void run(asIScriptFunction *function, const std::function<void(asIScriptContext *)> &arguments) {
    asIScriptContext *context = engine->CreateContext();
    context->Prepare(function);
    arguments(context);
    if (context->Execute() == asEXECUTION_EXCEPTION) {
        std::cout << "exception " << context->GetExceptionString() << " line " << context->GetExceptionLineNumber() << "\n";
        ++failures;
    }
    context->Release();
}

void CommandList::Process() {
    if (!custom) return;
    CScriptArray *none = CScriptArray::Create(engine->GetTypeInfoByDecl("array<string>"));
    std::string line = content;
    run(custom, [&](asIScriptContext *context) {
        context->SetArgDWord(0, 0);
        context->SetArgDWord(1, 0);
        context->SetArgObject(2, &line);
        context->SetArgObject(3, none);
    });
    none->Release();
}

static void must(int code, const char *what) {
    if (code < 0) {
        std::cerr << "cannot declare " << what << " (" << code << ")\n";
        ++failures;
    }
}
#define METHOD(type, declaration, member) \
    must(engine->RegisterObjectMethod(#type, declaration, asMETHOD(type, member), asCALL_THISCALL), declaration)
#define GLOBAL(declaration, function) \
    must(engine->RegisterGlobalFunction(declaration, asFUNCTION(function), asCALL_CDECL), declaration)

template <typename T> static void countedType(const char *name) {
    must(engine->RegisterObjectType(name, 0, asOBJ_REF), name);
    must(engine->RegisterObjectBehaviour(name, asBEHAVE_ADDREF, "void f()", asMETHOD(T, AddRef), asCALL_THISCALL), name);
    must(engine->RegisterObjectBehaviour(name, asBEHAVE_RELEASE, "void f()", asMETHOD(T, Release), asCALL_THISCALL), name);
}

static void declareInputs() {
    must(engine->RegisterEnum("InputType"), "InputType");
    const char *names[] = {"None", "Left", "Right", "Up", "Down", "Steer"};
    for (int i = 0; i < 6; ++i) engine->RegisterEnumValue("InputType", names[i], i);
    engine->SetDefaultNamespace("TM");
    must(engine->RegisterEnum("GameState"), "TM::GameState");
    const char *states[] = {"StartUp", "Menus", "LocalRace"};
    for (int i = 0; i < 3; ++i) engine->RegisterEnumValue("GameState", states[i], i);
    must(engine->RegisterObjectType("InputEventBuffer", 0, asOBJ_REF | asOBJ_NOCOUNT), "TM::InputEventBuffer");
    METHOD(InputEventBuffer, "void Add(int, InputType, int)", Add);
    METHOD(InputEventBuffer, "string ToCommandsText() const", ToCommandsText);
    engine->SetDefaultNamespace("");
}

static void declareSocket() {
    engine->SetDefaultNamespace("Net");
    countedType<Socket>("Socket");
    must(engine->RegisterObjectBehaviour("Socket", asBEHAVE_FACTORY, "Socket@ f()", asFUNCTION(Socket::Create), asCALL_CDECL), "Socket");
    METHOD(Socket, "void Listen(const string&in, uint16)", Listen);
    METHOD(Socket, "Socket@ Accept(uint)", Accept);
    METHOD(Socket, "uint get_Available() const property", Available);
    METHOD(Socket, "void set_NoDelay(bool) property", SetNoDelay);
    METHOD(Socket, "bool get_NoDelay() const property", GetNoDelay);
    METHOD(Socket, "string get_RemoteIP() const property", RemoteIP);
    METHOD(Socket, "int ReadInt32()", ReadInt32);
    METHOD(Socket, "uint ReadUint32()", ReadUint32);
    METHOD(Socket, "uint8 ReadUint8()", ReadUint8);
    METHOD(Socket, "float ReadFloat()", ReadFloat);
    METHOD(Socket, "array<uint8>@ ReadBytes(uint)", ReadBytes);
    METHOD(Socket, "string ReadString(uint)", ReadString);
    METHOD(Socket, "void Write(int)", WriteInt);
    METHOD(Socket, "void Write(const string&in)", WriteText);
    METHOD(Socket, "void Write(const array<uint8>&in)", WriteBytes);
    engine->SetDefaultNamespace("");
}

static void declareSimulation() {
    countedType<SimulationState>("SimulationState");
    must(engine->RegisterObjectBehaviour("SimulationState", asBEHAVE_FACTORY, "SimulationState@ f(const array<uint8>&in)",
                                         asFUNCTION(SimulationState::FromArray), asCALL_CDECL), "SimulationState");
    METHOD(SimulationState, "array<uint8>@ ToArray() const", ToArray);
    must(engine->RegisterObjectType("PlayerInfo", 0, asOBJ_REF | asOBJ_NOCOUNT), "PlayerInfo");
    must(engine->RegisterObjectProperty("PlayerInfo", "bool RaceFinished", asOFFSET(PlayerInfo, raceFinished)), "RaceFinished");
    must(engine->RegisterObjectType("SimulationManager", 0, asOBJ_REF | asOBJ_NOCOUNT), "SimulationManager");
    must(engine->RegisterObjectProperty("SimulationManager", "const bool InRace", asOFFSET(SimulationManager, inRace)), "InRace");
    must(engine->RegisterObjectProperty("SimulationManager", "const int RaceTime", asOFFSET(SimulationManager, raceTime)), "RaceTime");
    must(engine->RegisterObjectProperty("SimulationManager", "const int TickTime", asOFFSET(SimulationManager, tickTime)), "TickTime");
    METHOD(SimulationManager, "PlayerInfo@ get_PlayerInfo() property", GetPlayerInfo);
    METHOD(SimulationManager, "TM::InputEventBuffer@ get_InputEvents() property", GetInputEvents);
    METHOD(SimulationManager, "void SetSpeed(float)", SetSpeed);
    METHOD(SimulationManager, "void GiveUp()", GiveUp);
    METHOD(SimulationManager, "void PreventSimulationFinish()", PreventSimulationFinish);
    METHOD(SimulationManager, "void ResetCamera()", ResetCamera);
    METHOD(SimulationManager, "SimulationState@ SaveState()", SaveState);
    METHOD(SimulationManager, "void RewindToState(SimulationState@)", RewindToState);
    METHOD(SimulationManager, "void SetInputState(InputType, int)", SetInputState);
    GLOBAL("SimulationManager@ GetSimulationManager()", GetSimulationManager);
}

static void declareRest() {
    countedType<PluginInfo>("PluginInfo");
    must(engine->RegisterObjectBehaviour("PluginInfo", asBEHAVE_FACTORY, "PluginInfo@ f()", asFUNCTION(PluginInfo::Create), asCALL_CDECL), "PluginInfo");
    must(engine->RegisterObjectProperty("PluginInfo", "string Author", asOFFSET(PluginInfo, author)), "Author");
    must(engine->RegisterObjectProperty("PluginInfo", "string Name", asOFFSET(PluginInfo, name)), "Name");
    must(engine->RegisterObjectProperty("PluginInfo", "string Description", asOFFSET(PluginInfo, description)), "Description");
    must(engine->RegisterObjectProperty("PluginInfo", "string Version", asOFFSET(PluginInfo, version)), "Version");
    countedType<CommandList>("CommandList");
    must(engine->RegisterObjectBehaviour("CommandList", asBEHAVE_FACTORY, "CommandList@ f()", asFUNCTION(CommandList::Create), asCALL_CDECL), "CommandList");
    must(engine->RegisterObjectProperty("CommandList", "string Content", asOFFSET(CommandList, content)), "Content");
    METHOD(CommandList, "void Process()", Process);
    must(engine->RegisterObjectType("vec2", sizeof(Vec2), asOBJ_VALUE | asOBJ_POD | asGetTypeTraits<Vec2>() | asOBJ_APP_CLASS_ALLFLOATS), "vec2");
    must(engine->RegisterObjectBehaviour("vec2", asBEHAVE_CONSTRUCT, "void f(float, float)", asFUNCTION(Vec2::Construct), asCALL_CDECL_OBJLAST), "vec2");
    must(engine->RegisterFuncdef("void CommandCallback(int, int, const string&in, const array<string>&in)"), "CommandCallback");
    GLOBAL("void RegisterCustomCommand(const string&in, const string&in, CommandCallback@)", RegisterCustomCommand);
    GLOBAL("TM::GameState GetCurrentGameState()", GetCurrentGameState);
    GLOBAL("void ExecuteCommand(const string&in)", ExecuteLine);
    GLOBAL("void ToggleRaceInterface(bool)", ToggleRaceInterface);
    GLOBAL("void log(const string&in)", Log);
    GLOBAL("void print(const string&in)", Log);
    GLOBAL("void RegisterVariable(const string&in, double)", RegisterVariable);
    GLOBAL("double GetVariableDouble(const string&in)", GetVariableDouble);
    engine->SetDefaultNamespace("Time");
    GLOBAL("uint64 get_Now() property", TimeNow);
    engine->SetDefaultNamespace("Graphics");
    GLOBAL("array<uint8>@ CaptureScreenshot(const vec2&in)", CaptureScreenshot);
    GLOBAL("void FocusGameWindow()", FocusGameWindow);
    engine->SetDefaultNamespace("");
}

static void onMessage(const asSMessageInfo *message, void *) {
    const char *kind = message->type == asMSGTYPE_ERROR ? "error" : message->type == asMSGTYPE_WARNING ? "warning" : "note";
    std::cerr << message->section << ":" << message->row << ":" << message->col << ": " << kind << ": " << message->message << "\n";
    if (message->type != asMSGTYPE_INFORMATION) ++failures;
}

static void play(asIScriptModule *module, const std::string &line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    auto function = [&](const char *declaration) { return module->GetFunctionByDecl(declaration); };
    if (verb == "recv") {
        std::string hex;
        while (words >> hex)
            for (size_t i = 0; i + 1 < hex.size(); i += 2) incoming += char(std::stoi(hex.substr(i, 2), nullptr, 16));
    } else if (verb == "knock") {
        clientKnocks = true;
    } else if (verb == "set") {
        std::string name;
        double value = 0;
        words >> name >> value;
        if (name == "game_state") gameState = int(value);
        else if (name == "now") nowMs = uint64_t(value);
        else if (name == "in_race") manager.inRace = value != 0;
        else variables[name] = value;
    } else if (verb == "main") {
        run(function("void Main()"), [](asIScriptContext *) {});
    } else if (verb == "render") {
        run(function("void Render()"), [](asIScriptContext *) {});
    } else if (verb == "step") {
        words >> manager.raceTime >> manager.tickTime;
        run(function("void OnRunStep(SimulationManager@)"), [](asIScriptContext *context) { context->SetArgObject(0, &manager); });
    } else if (verb == "gate" || verb == "lap") {
        int current = 0, target = 0;
        words >> current >> target;
        const char *name = verb == "gate" ? "void OnCheckpointCountChanged(SimulationManager@, int, int)" : "void OnLapCountChanged(SimulationManager@, int, int)";
        run(function(name), [&](asIScriptContext *context) {
            context->SetArgObject(0, &manager);
            context->SetArgDWord(1, asDWORD(current));
            context->SetArgDWord(2, asDWORD(target));
        });
    } else if (verb == "state") {
        words >> gameState;
        run(function("void OnGameStateChanged(TM::GameState)"), [](asIScriptContext *context) { context->SetArgDWord(0, asDWORD(gameState)); });
    }
    static const char digits[] = "0123456789abcdef";
    std::string hex;
    for (unsigned char byte : outgoing) { hex += digits[byte >> 4]; hex += digits[byte & 15]; }
    if (!outgoing.empty()) std::cout << "sent " << hex << "\n";
    outgoing.clear();
    std::cout << "done " << incoming.size() << "\n";
    std::cout.flush();
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    engine = asCreateScriptEngine();
    engine->SetMessageCallback(asFUNCTION(onMessage), nullptr, asCALL_CDECL);
    engine->SetEngineProperty(asEP_PROPERTY_ACCESSOR_MODE, 3);
    RegisterScriptArray(engine, true);
    RegisterStdString(engine);
    // Of arrays and strings public plugins use the length, spelt in capitals, and nothing else.
    must(engine->RegisterObjectMethod("string", "uint get_Length() const property", asMETHOD(std::string, size), asCALL_THISCALL), "string::Length");
    must(engine->RegisterObjectMethod("array<T>", "uint get_Length() const property", asMETHOD(CScriptArray, GetSize), asCALL_THISCALL), "array::Length");
    declareInputs();
    declareSocket();
    declareSimulation();
    declareRest();

    std::ifstream file(argv[1]);
    std::stringstream source;
    source << file.rdbuf();
    asIScriptModule *module = engine->GetModule("plugin", asGM_ALWAYS_CREATE);
    module->AddScriptSection(argv[1], source.str().c_str());
    if (module->Build() < 0 || failures > 0) {
        std::cerr << failures << " errors or warnings\n";
        return 1;
    }
    std::cout << "compiled\n";
    std::cout.flush();
    for (std::string line; argc > 2 && std::getline(std::cin, line);) play(module, line);
    if (custom) custom->Release();
    engine->ShutDownAndRelease();
    return failures ? 1 : 0;
}
