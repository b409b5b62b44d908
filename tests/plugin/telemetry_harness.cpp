// Compiles plugin/TrackmasterTelemetry.as with the real AngelScript compiler against tests/plugin/telemetry_api.as, which
// declares the part of the OpenPlanet API that it uses, and prints what Probe() says: bytes of a header and of a record.
#define AS_USE_NAMESPACE
#include <angelscript.h>
#include <angelscript/scriptarray.h>
#include <angelscript/scriptmath.h>
#include <angelscript/scriptstdstring.h>

#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

using namespace AngelScript; // Debian builds the library in this namespace

static void message(const asSMessageInfo *info, void *) {
    std::cerr << info->section << ":" << info->row << ":" << info->col << ": " << info->message << "\n";
}

static asUINT length(const std::string &text) { return asUINT(text.size()); }

static std::string part(int from, int count, const std::string &text) { return text.substr(size_t(from), size_t(count)); }

static asUINT byteAt(asUINT at, const std::string &text) { return asUINT((unsigned char)text[at]); }

static std::string read(const char *path) {
    std::ifstream file(path);
    std::stringstream content;
    content << file.rdbuf();
    return content.str();
}

int main(int, char **argv) {
    asIScriptEngine *engine = asCreateScriptEngine();
    engine->SetMessageCallback(asFUNCTION(message), nullptr, asCALL_CDECL);
    RegisterScriptArray(engine, true);
    RegisterStdString(engine);
    RegisterScriptMath(engine);
    engine->RegisterObjectMethod("string", "uint get_Length() const property", asFUNCTION(length), asCALL_CDECL_OBJLAST);
    engine->RegisterObjectMethod("string", "string SubStr(int, int) const", asFUNCTION(part), asCALL_CDECL_OBJLAST);
    engine->RegisterObjectMethod("string", "uint byteAt(uint) const", asFUNCTION(byteAt), asCALL_CDECL_OBJLAST);
    asIScriptModule *module = engine->GetModule("plugin", asGM_ALWAYS_CREATE);
    for (int i = 1; i <= 2; ++i) {
        const std::string code = read(argv[i]);
        module->AddScriptSection(argv[i], code.c_str(), code.size());
    }
    if (module->Build() < 0) return 1;
    asIScriptContext *context = engine->CreateContext();
    context->Prepare(module->GetFunctionByDecl("string Probe()"));
    if (context->Execute() != asEXECUTION_FINISHED) {
        std::cerr << "Probe() failed: " << (context->GetExceptionString() ? context->GetExceptionString() : "?") << "\n";
        return 1;
    }
    std::cout << *(std::string *)context->GetReturnObject() << "\n";
    context->Release();
    engine->ShutDownAndRelease();
    return 0;
}
